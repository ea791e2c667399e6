"""Trainings run from the source tree on a GPU machine that has no package of the serving side."""

import subprocess
import sys

SERVING = ("grpc", "tritonclient", "prometheus_client", "pydantic_settings", "pythonjsonlogger")


def test_the_commands_of_training_import_nothing_that_only_serving_needs():
    # In a process of its own: this one has them all.
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({SERVING!r})); "
        "import lotwise_training.cli, lotwise_training.edit_answers, "
        "lotwise_training.interval_evaluation, lotwise_training.property_answers"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
