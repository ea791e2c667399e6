"""Finds the tritonserver that `scripts/install-triton` put beside the services.

Source of the arrangement: the wheel nvidia-pytriton carries the server, its core and the
Python backend; Triton takes a backend written in Python from any `<name>/model.py` under its
backend directory.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BACKEND_SOURCE: Final = Path(__file__).parent / "backend" / "model.py"


class TritonMissing(Exception):
    """No usable Triton here. `what` names the missing part, `remedy` the command for it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}. {remedy}")
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True)
class TritonInstallation:
    """A server's own virtual environment and what was found in it."""

    home: Path
    binary: Path
    libraries: tuple[Path, ...]
    python_backend: Path
    stub: Path

    def environment(self) -> dict[str, str]:
        """Environment of the server process: its own interpreter first on PATH."""
        environment = {
            key: value
            for key, value in os.environ.items()
            if key in ("HOME", "LANG", "TMPDIR", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
            or key.startswith("OTEL_")
        }
        environment["PATH"] = os.pathsep.join([str(self.home / "bin"), os.environ["PATH"]])
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(str(path) for path in self.libraries)
        return environment

    def write_backends(self, directory: Path) -> None:
        """Lay out a backend directory: the wheel's Python backend, and ours for ONNX."""
        python = directory / "python"
        ours = directory / "onnxruntime"
        for folder in (python, ours):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        for source in (*self.python_backend.iterdir(), self.stub):
            if source.is_file():
                # Copied: Triton refuses a library whose real path leaves the directory.
                shutil.copy2(source, python / source.name)
        shutil.copyfile(BACKEND_SOURCE, ours / "model.py")


def find_installation(home: Path) -> TritonInstallation:
    """Look into a virtual environment that `scripts/install-triton` made.

    Raises:
        TritonMissing: Names what is missing and the command that brings it.
    """
    home = home.absolute()
    packages = sorted((home / "lib").glob("python3.*/site-packages"))
    install = "Run `make triton`."
    if not packages:
        raise TritonMissing(f"No Triton environment at {home}", install)
    site = packages[0]
    version = site.parent.name.removeprefix("python")
    server = site / "pytriton" / "tritonserver"
    binary = server / "bin" / "tritonserver"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not binary.is_file() or not stub.is_file():
        raise TritonMissing(f"{home} holds no tritonserver for Python {version}", install)
    libraries = [site / "nvidia_pytriton.libs"]
    shared = f"libpython{version}.so.1.0"
    own = Path(sysconfig.get_config_var("LIBDIR") or "/nonexistent")
    if (own / shared).is_file():
        libraries.append(own)
    elif ctypes.util.find_library(f"python{version}") is None:
        raise TritonMissing(
            f"Triton's Python backend needs {shared}, which this system lacks",
            f"Run `sudo apt-get install libpython{version}`.",
        )
    return TritonInstallation(home, binary, tuple(libraries), server / "backends" / "python", stub)
