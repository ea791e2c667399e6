import os
import sysconfig
from pathlib import Path

import pytest

from lotwise.runtime.triton.installation import BACKEND_SOURCE, TritonMissing, find_installation

VERSION = sysconfig.get_python_version()


def install(home: Path, version: str = VERSION) -> Path:
    """The files that the wheel brings, with other content."""
    server = home / "lib" / f"python{version}" / "site-packages" / "pytriton" / "tritonserver"
    files = [
        server / "bin" / "tritonserver",
        server / "python_backend_stubs" / version / "triton_python_backend_stub",
        server / "backends" / "python" / "libtriton_python.so",
        server / "backends" / "python" / "triton_python_backend_utils.py",
        server / "backends" / "python" / "__pycache__" / "utils.pyc",
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
        path.chmod(0o755)
    return server


def missing(home):
    with pytest.raises(TritonMissing) as refused:
        find_installation(home)
    assert refused.value.what in str(refused.value)
    assert refused.value.remedy in str(refused.value)
    return refused.value


def test_without_an_environment_the_error_names_the_command_that_makes_one(tmp_path):
    for home in (tmp_path / "nowhere", tmp_path):
        error = missing(home)
        assert str(home) in error.what
        assert "make triton" in error.remedy


@pytest.mark.parametrize("part", ["bin/tritonserver", "python_backend_stubs"])
def test_a_half_installed_server_is_missing(tmp_path, part):
    server = install(tmp_path)
    (server / part).rename(tmp_path / "away")
    error = missing(tmp_path)
    assert VERSION in error.what
    assert "make triton" in error.remedy


def test_a_stub_without_its_python_library_names_the_package_to_install(tmp_path):
    install(tmp_path, "3.99")
    error = missing(tmp_path)
    assert "libpython3.99.so.1.0" in error.what
    assert "apt-get install libpython3.99" in error.remedy


@pytest.fixture
def installation(tmp_path):
    install(tmp_path / "home")
    try:
        return find_installation(tmp_path / "home")
    except TritonMissing as error:
        pytest.skip(str(error))  # this Python has no shared library


def test_an_installed_server_is_found_with_absolute_paths(installation, tmp_path, monkeypatch):
    assert installation.binary.read_text() == "tritonserver"
    assert installation.stub.read_text() == "triton_python_backend_stub"
    monkeypatch.chdir(tmp_path)
    assert find_installation(Path("home")).binary == installation.binary


def test_the_server_sees_its_own_environment_and_little_of_ours(installation, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("LD_PRELOAD_OF_SOMEONE", "x")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = installation.environment()
    assert environment["PATH"].split(os.pathsep)[0] == str(installation.home / "bin")
    assert environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert {"LD_PRELOAD_OF_SOMEONE", "PYTHONPATH"}.isdisjoint(environment)
    assert environment["LD_LIBRARY_PATH"]


def test_backends_are_laid_out_anew_each_time(installation, tmp_path):
    backends = tmp_path / "backends"
    (backends / "onnxruntime").mkdir(parents=True)
    (backends / "onnxruntime" / "left over").write_text("old")
    for _ in range(2):
        installation.write_backends(backends)
    assert {p.relative_to(backends).as_posix() for p in backends.rglob("*") if p.is_file()} == {
        "onnxruntime/model.py",
        "python/libtriton_python.so",
        "python/triton_python_backend_utils.py",
        "python/triton_python_backend_stub",
    }
    assert not [path for path in backends.rglob("*") if path.is_symlink()]
    assert (backends / "onnxruntime" / "model.py").read_bytes() == BACKEND_SOURCE.read_bytes()
    assert os.access(backends / "python" / "triton_python_backend_stub", os.X_OK)
