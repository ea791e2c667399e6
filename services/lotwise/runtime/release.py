"""Release a model repository onto a volume that servers only read.

A release is a folder under a name of its own: models put together, settings of the GPU written
into their config.pbtxt, and the digest of every file. It appears whole or not at all, and is never
changed: other models are another release. Servers wait for theirs and check it before they start.

    python -m lotwise.runtime.release make SOURCE TARGET [--acceleration FILE]
    python -m lotwise.runtime.release await TARGET [--timeout-s 600]
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from google.protobuf import text_format
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from tritonclient.grpc import model_config_pb2 as pb

from lotwise.runtime.assemble import assemble_repository
from lotwise.runtime.members import AssemblyError

CHECKSUMS: Final = "SHA256SUMS"
ENGINE_CACHE: Final = "/var/cache/triton"
_POLL_S: Final = 2.0


class ReleaseError(Exception):
    """The release cannot be made or used; the message says why and what to do."""


class Acceleration(BaseModel):
    """How TensorRT runs one model. Needs a GPU; on others Triton does not load the model."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    precision: Literal["FP32", "FP16"] = "FP32"
    """FP16 changes numbers: calibrate and test again before a model's answers rest on it."""

    workspace_bytes: int = Field(default=2**30, gt=0)
    """GPU memory that an engine may take while it is built and while it runs."""


def make(source: Path, target: Path, accelerated: dict[str, Acceleration]) -> bool:
    """Make a release, unless it is there already.

    Args:
        source: A model repository, whole or in parts. A `SHA256SUMS` in it is checked first.
        target: Folder of the release; what is above it exists.
        accelerated: Settings by name of the model.

    Returns:
        Whether it was made; False where the same release is there.

    Raises:
        ReleaseError: Nothing is released, the volume is full, or another release has the name.
    """
    models = sorted(path.parent.name for path in source.glob("*/config.pbtxt"))
    if not models:
        raise ReleaseError(f"{source} holds no models: no folder in it has a config.pbtxt.")
    if unknown := sorted(set(accelerated) - set(models)):
        raise ReleaseError(f"Settings are for models that are not in {source}: {unknown}.")
    if (source / CHECKSUMS).is_file():
        check(source)
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for model in models:
            shutil.copytree(source / model, part / model, copy_function=shutil.copyfile)
        assemble_repository(part)
        for model, settings in accelerated.items():
            accelerate(part / model / "config.pbtxt", settings)
        sums = _sums(part)
        (part / CHECKSUMS).write_text(sums, encoding="utf-8")
        if target.exists():
            if _stated(target) != sums:
                raise ReleaseError(
                    f"{target} is another release already. Releases do not change: choose another "
                    "name for this one."
                )
            check(target)
            return False
        os.sync()
        part.rename(target)
    except AssemblyError as error:
        raise ReleaseError(str(error)) from None
    except (OSError, shutil.Error) as error:
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise ReleaseError(
                f"No room for {target.name} on the volume of {target.parent}. Remove releases that "
                "nobody uses, or make the volume larger."
            ) from None
        raise ReleaseError(f"{target} cannot be written: {error}.") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def check(release: Path) -> None:
    """Compare every file with its digest.

    Raises:
        ReleaseError: A file is missing, another one, or not part of the release.
    """
    if _stated(release) != _sums(release):
        raise ReleaseError(
            f"The files of {release} are not those of its {CHECKSUMS}. Make the release again, "
            "under another name."
        )


def accelerate(config_file: Path, settings: Acceleration) -> None:
    """Write a model's settings of TensorRT into its config.pbtxt.

    The engine is built for every batch up to the model's largest: without stated shapes TensorRT
    would build another one, for minutes, whenever a batch of a new size comes.
    """
    config = text_format.Parse(config_file.read_text(encoding="utf-8"), pb.ModelConfig())
    accelerators = config.optimization.execution_accelerators.gpu_execution_accelerator
    del accelerators[:]
    accelerators.add(
        name="tensorrt",
        parameters={
            "precision_mode": settings.precision,
            "max_workspace_size_bytes": str(settings.workspace_bytes),
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": f"{ENGINE_CACHE}/{config.name}",
            "trt_profile_min_shapes": _shapes(config, 1),
            "trt_profile_opt_shapes": _shapes(config, config.max_batch_size),
            "trt_profile_max_shapes": _shapes(config, config.max_batch_size),
        },
    )
    # A CPU, which it would fall back to, has no TensorRT.
    for group in config.instance_group:
        group.kind = pb.ModelInstanceGroup.KIND_GPU
    config_file.write_text(text_format.MessageToString(config), encoding="utf-8")


def read_accelerations(path: Path) -> dict[str, Acceleration]:
    """Settings by model, from JSON: `{"regressor": {"precision": "FP32"}}`.

    Raises:
        ReleaseError: The file cannot be read or is invalid.
    """
    try:
        return TypeAdapter(dict[str, Acceleration]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"{path} cannot be used: {error}") from None


def wait_for(release: Path, timeout_s: float) -> None:
    """Wait until a release is there, and check it.

    Raises:
        ReleaseError: It did not come in time, or its files are damaged.
    """
    deadline = time.monotonic() + timeout_s
    said = False
    while not (release / CHECKSUMS).is_file():
        if time.monotonic() > deadline:
            raise ReleaseError(
                f"There is no release {release.name} in {release.parent} after {timeout_s:.0f} s. "
                "Has its job ended? Its log says why not."
            )
        if not said:
            print(f"waiting for release {release.name}", flush=True)  # noqa: T201
            said = True
        time.sleep(_POLL_S)
    check(release)


def _shapes(config: pb.ModelConfig, batch: int) -> str:
    return ",".join(
        f"{tensor.name}:{'x'.join(str(size) for size in (batch, *tensor.dims))}"
        for tensor in config.input
    )


def _sums(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
        if path != folder / CHECKSUMS
    )


def _stated(release: Path) -> str:
    try:
        return (release / CHECKSUMS).read_text(encoding="utf-8")
    except OSError as error:
        raise ReleaseError(f"{release} is no release: {error}.") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """Make or await a release; a failure is one sentence and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m lotwise.runtime.release")
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("make", help="make a release, whole or not at all")
    making.add_argument("source", type=Path)
    making.add_argument("target", type=Path)
    making.add_argument("--acceleration", type=Path, help="JSON: settings of TensorRT by model")
    waiting = verbs.add_parser("await", help="wait for a release and check its files")
    waiting.add_argument("target", type=Path)
    waiting.add_argument("--timeout-s", type=float, default=600.0)
    given = parser.parse_args(arguments)
    try:
        if given.verb == "await":
            wait_for(given.target, given.timeout_s)
            said = "is whole"
        else:
            settings = read_accelerations(given.acceleration) if given.acceleration else {}
            said = "made" if make(given.source, given.target, settings) else "is there already"
    except ReleaseError as error:
        sys.exit(str(error))
    print(f"release {given.target.name} {said}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
