"""Calibration with a laboratory's own tiles: lotwise calibrate."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer
from rich.progress import track

from lotwise.cli.options import MODELS, AsJson, Models, UmPerPx, err, fail, out
from lotwise.core.calibration import write_calibration
from lotwise.core.errors import LotwiseError
from lotwise.core.policy import PolicyRequest, write_policy
from lotwise.runtime.cascade_models import FIRST, part_name

if TYPE_CHECKING:
    from lotwise.core.calibration_fit import Fitted

POLICY_FILE: Final = "referral_policy.json"

Item = TypeVar("Item")


def calibrate(
    data: Annotated[
        list[Path],
        typer.Argument(help="Folders of labelled tiles, a folder a reference lot, or of those."),
    ],
    policy: Annotated[Path, typer.Option(help="TOML file with what the policy must do.")],
    um_per_px: UmPerPx = None,
    models: Models = MODELS,
    model: Annotated[str, typer.Option(help="Name of the committee.")] = "committee",
    out_folder: Annotated[
        Path | None,
        typer.Option("--out", help="Where to write; default: beside the committee."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit temperature, familiarity and referral policy on your own labelled tiles.

    Writes calibration.json, familiarity.npz and referral_policy.json, and those of the cascade
    where the repository has its models. Nothing may have been trained on the tiles. Needs no
    running platform; restart one that is up to use what was written.
    """
    # Here, because scipy takes longer to import than most commands to run.
    from lotwise.calibration.cascade import fit_beside, write_cascade
    from lotwise.calibration.committee import RepositoryCommittee
    from lotwise.calibration.reference_tiles import find_lots, read_reference_tiles
    from lotwise.core.calibration_fit import LabelledTiles, check_tiles, tiles_sha256
    from lotwise.core.calibration_fit import calibrate as fit

    def shown(items: Sequence[Item], title: str) -> Iterable[Item]:
        return track(items, title, console=err, transient=True, disable=as_json)

    try:
        request = PolicyRequest.read(policy)
        committee = RepositoryCommittee(models, model)
        metadata = committee.signature.metadata
        assert metadata.geometry is not None
        lot_ids = tuple(lot.lot_id for lot in metadata.reference_lots)
        tiles = read_reference_tiles(
            find_lots(data, um_per_px),
            lot_ids,
            metadata.geometry,
            lambda paths: shown(paths, "reading tiles"),
        )
        # Before the committee is asked, which takes minutes.
        check_tiles(tiles.labels, lot_ids, request)
        outputs = committee.ask(tiles.images, lambda starts: shown(starts, "asking the committee"))
        labelled = LabelledTiles(
            outputs=outputs,
            labels=tiles.labels,
            lot_ids=lot_ids,
            sha256=tiles_sha256(tiles.images, tiles.labels, lot_ids),
            date=datetime.now(UTC).replace(microsecond=0),
            origin=tiles.origin,
        )
        fitted = fit(labelled, request, metadata.weights_sha256)
        cascade = fit_beside(models, model, labelled, fitted)
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
    folder = out_folder or models / model
    write_calibration(fitted.calibrated, folder)
    write_policy(fitted.policy, folder / POLICY_FILE)
    first = part_name(model, FIRST)
    write_cascade(cascade, folder, models / first if out_folder is None else folder / first)
    if as_json:
        print(  # noqa: T201
            json.dumps(
                {
                    "calibration": fitted.calibrated.calibration.model_dump(mode="json"),
                    "policy": fitted.policy.model_dump(mode="json"),
                    "cascade": None
                    if cascade is None
                    else {
                        "policy": cascade.policy.model_dump(mode="json"),
                        "equal_decisions": cascade.cascade.equal,
                        "evaluations": cascade.cascade.evaluations,
                    },
                    "folder": str(folder),
                    "left_out_for_poor_quality": tiles.poor,
                }
            )
        )
    else:
        _say(fitted, folder, len(lot_ids), tiles.poor)
        if cascade is not None:
            said = cascade.cascade
            out.print(
                f"Cascade {cascade.policy.policy_version}: decides as the whole committee on "
                f"{said.equal:.2%} of {said.tiles:,} tiles, with {said.evaluations:.0%} of its "
                "evaluations",
                soft_wrap=True,
            )


def _say(fitted: Fitted, folder: Path, known_lots: int, poor: int) -> None:
    calibration, policy = fitted.calibrated.calibration, fitted.policy
    used = calibration.calibration_set
    out.print(
        f"{used.tiles:,} tiles of {used.lots} of {known_lots} reference lots ({used.origin})"
        + (f"; {poor:,} of poor quality left out" if poor else "")
    )
    if used.lots < known_lots:
        out.print(
            "Tiles of the other reference lots may look unfamiliar: nothing says where they lie.",
            style="yellow",
        )
    out.print(
        f"Temperature {calibration.temperature:.3f}: negative log-likelihood "
        f"{calibration.nll_before_nats:.3f} -> {calibration.nll_after_nats:.3f} nats"
    )
    out.print(
        f"Accepted of {policy.fitted.tiles:,} tiles: {policy.fitted.coverage:.1%}, of these "
        f"{policy.fitted.error:.2%} wrong, at most {policy.risk_bound:.2%} at "
        f"{policy.request.confidence:.0%} confidence"
    )
    out.print(policy.guarantee.statement, soft_wrap=True)
    out.print(f"Wrote policy {policy.policy_version} into {folder}", soft_wrap=True)
