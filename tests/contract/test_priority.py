"""What explanations ask of Triton leaves the cores to all other work."""

import os
from pathlib import Path

from lotwise.runtime.model_config import read_pbtxt


def model_processes(group):
    """Niceness of the processes of our backend in a process group."""
    for folder in Path("/proc").iterdir():
        try:
            if not folder.name.isdigit() or os.getpgid(int(folder.name)) != group:
                continue
            command = (folder / "cmdline").read_text()
        except (ProcessLookupError, FileNotFoundError):
            continue  # it has ended
        if "triton_python_backend_stub" in command:
            yield os.getpriority(os.PRIO_PROCESS, int(folder.name))


def test_models_that_only_explanations_ask_are_nicer(triton, repository):
    signatures = [read_pbtxt(path) for path in sorted(repository.glob("*/config.pbtxt"))]
    may_wait = [each.name for each in signatures if each.priority == 2]
    assert may_wait == ["attribute_meter", "edit_gradient", "editor_decoder", "editor_encoder"]
    nice = sorted(model_processes(os.getpgid(triton.pid)))
    assert len(nice) == len(signatures)
    own = os.getpriority(os.PRIO_PROCESS, os.getpid())
    expected = [own] * (len(nice) - len(may_wait)) + [min(own + 5, 19)] * len(may_wait)
    assert nice == expected
