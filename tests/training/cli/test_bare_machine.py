"""Trainings run from the source tree on a GPU machine that has no package of the serving side."""

import subprocess
import sys

SERVING = ("grpc", "tritonclient", "prometheus_client", "pydantic_settings", "pythonjsonlogger")


def test_the_commands_of_training_import_nothing_that_only_serving_needs():
    # In a process of its own: this one has them all.
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({SERVING!r})); "
        "import lotwise_training.cli.app, lotwise_training.pipelines.edit_measurements, "
        "lotwise_training.pipelines.intervals, lotwise_training.pipelines.property_predictions"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
