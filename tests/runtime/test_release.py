"""A release of models: whole or not at all, never changed, checked before it is served."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from lotwise.platform.ports import PlatformPorts
from lotwise.runtime import release
from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.model_config import read_pbtxt
from lotwise.runtime.release import Acceleration, ReleaseError
from lotwise.runtime.triton.installation import find_installation
from lotwise.runtime.triton.supervisor import TritonFailed, TritonServer
from tests.support.triton import ROOT, triton_home

COMMITTEES = ("committee", "committee_first", "committee_rest")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committees alone, in parts, as the repository keeps them."""
    folder = tmp_path_factory.mktemp("source")
    for name in COMMITTEES:
        shutil.copytree(
            ROOT / "model_repository" / name,
            folder / name,
            ignore=shutil.ignore_patterns("model.onnx"),
        )
    return folder


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with less room than a release needs; only root may make one."""
    path = tmp_path / "volume"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield path
    subprocess.run(["umount", path], check=True)


@pytest.fixture(scope="module")
def released(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("models") / "2026-11"
    assert release.make(source, target, {})
    return target


def test_release_holds_what_the_repository_would_serve(released: Path, repository: Path) -> None:
    for name in COMMITTEES:
        made, served = released / name / "1/model.onnx", repository / name / "1/model.onnx"
        assert made.read_bytes() == served.read_bytes()
        assert (released / name / "config.pbtxt").read_bytes() == (
            repository / name / "config.pbtxt"
        ).read_bytes()
    assert [path.name for path in released.parent.iterdir()] == ["2026-11"], "nothing half-made"


def test_digests_are_those_that_sha256sum_checks(released: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", release.CHECKSUMS], cwd=released
    )
    assert checked.returncode == 0
    release.check(released)


def test_made_again_it_is_the_same(source: Path, released: Path) -> None:
    assert not release.make(source, released, {})


def test_other_models_need_another_name(source: Path, released: Path) -> None:
    before = (released / release.CHECKSUMS).read_bytes()
    with pytest.raises(ReleaseError, match="another release already"):
        release.make(source, released, {"committee": Acceleration()})
    assert (released / release.CHECKSUMS).read_bytes() == before
    assert [path.name for path in released.parent.iterdir()] == ["2026-11"]


@pytest.mark.parametrize("harm", ["changed", "missing", "added"])
def test_damaged_release_is_not_served(released: Path, tmp_path: Path, harm: str) -> None:
    copy = tmp_path / "2026-11"
    shutil.copytree(released, copy)
    labels = copy / "committee/labels.txt"
    if harm == "changed":
        labels.write_text("R99\n", encoding="utf-8")
    elif harm == "missing":
        labels.unlink()
    else:
        (copy / "committee/2").mkdir()
        (copy / "committee/2/model.onnx").touch()
    with pytest.raises(ReleaseError, match="are not those of its SHA256SUMS"):
        release.wait_for(copy, timeout_s=0)
    with pytest.raises(ReleaseError, match="are not those of its SHA256SUMS"):
        release.make(copy, tmp_path / "next", {})


def test_waiting_for_a_release_that_nobody_makes(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="There is no release 2026-12 .* Has its job ended"):
        release.wait_for(tmp_path / "2026-12", timeout_s=0)


def test_full_volume_is_named_and_holds_nothing(source: Path, full_disk: Path) -> None:
    with pytest.raises(ReleaseError, match="No room for 2026-11 on the volume"):
        release.make(source, full_disk / "2026-11", {})
    assert list(full_disk.iterdir()) == []


def test_settings_of_tensorrt_cover_every_batch(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "2026-11-fp16"
    release.make(source, target, {"committee": Acceleration(precision="FP16")})
    text = (target / "committee/config.pbtxt").read_text(encoding="utf-8")
    config = text_format.Parse(text, pb.ModelConfig())
    (accelerator,) = config.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {
        "precision_mode": "FP16",
        "max_workspace_size_bytes": str(2**30),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": "/var/cache/triton/committee",
        "trt_profile_min_shapes": "image:1x1x64x64",
        "trt_profile_opt_shapes": "image:16x1x64x64",
        "trt_profile_max_shapes": "image:16x1x64x64",
    }
    assert {group.kind for group in config.instance_group} == {pb.ModelInstanceGroup.KIND_GPU}
    # What services know of the model is as before, and the others are untouched.
    assert read_pbtxt(target / "committee/config.pbtxt") == read_pbtxt(
        source / "committee/config.pbtxt"
    )
    assert (target / "committee_first/config.pbtxt").read_bytes() == (
        source / "committee_first/config.pbtxt"
    ).read_bytes()


def test_a_release_for_a_gpu_is_refused_where_there_is_none(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than served on the CPU, slowly, with nobody the wiser."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    target = tmp_path / "2026-11-gpu"
    release.make(source, target, {"committee": Acceleration()})
    ports = PlatformPorts.free().triton
    server = TritonServer(find_installation(triton_home()), target, tmp_path / "state", ports)
    with pytest.raises(TritonFailed, match="KIND_GPU but no GPUs are available"), server:
        pytest.fail("it must not start")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"regressor": {}}, "models that are not in"),
        ({"committee": {"precision": "INT4"}}, "cannot be used"),
        ({"committee": {"presicion": "FP16"}}, "cannot be used"),
        (None, "cannot be used"),
    ],
)
def test_wrong_settings_make_no_release(
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, object] | None,
    said: str,
) -> None:
    file, target = tmp_path / "acceleration.json", tmp_path / "2026-11"
    if settings is not None:
        file.write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(SystemExit, match=said):
        release.main(["make", str(source), str(target), "--acceleration", str(file)])
    assert not target.exists()


def test_nothing_to_release(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="holds no models"):
        release.make(tmp_path, tmp_path / "release", {})


def test_half_a_committee_is_not_released(source: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    shutil.copytree(source, parts)
    (parts / "committee/1/member_02.onnx").unlink()
    with pytest.raises(ReleaseError, match="member"):
        release.make(parts, tmp_path / "2026-11", {})
    assert not (tmp_path / "2026-11").exists()


def test_commands_say_what_was_done(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = str(tmp_path / "2026-11")
    release.main(["make", str(source), target])
    release.main(["make", str(source), target])
    release.main(["await", target])
    assert capsys.readouterr().out.splitlines() == [
        "release 2026-11 made",
        "release 2026-11 is there already",
        "release 2026-11 is whole",
    ]
    assert assemble_repository(tmp_path / "2026-11"), "it is a repository like any other"
