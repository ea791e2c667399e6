"""The report's section on how familiar tiles are to the regressor, from stored answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sklearn.metrics import roc_auc_score

from lotwise.core.known_tiles import KNOWN_TILES_FILE, KnownTiles
from lotwise_training.evaluation.bootstrap import wilson
from lotwise_training.evaluation.familiarity_predictions import (
    NEW_LOTS,
    FamiliarityResult,
    PValues,
)
from lotwise_training.report.html_parts import table_html
from lotwise_training.report.section import Section
from lotwise_training.report.served_models import RecheckFailed
from lotwise_training.report.sheets import Sheet
from lotwise_training.report.wording import NONE, percent
from lotwise_training.store.arrays import find

LEVELS: Final = (0.005, 0.01, 0.05)


@dataclass(frozen=True)
class OodFigures:
    """Of one set of tiles.

    Attributes:
        name: Of the set.
        tiles: How many.
        called_strange: Share of them at or below each of LEVELS.
        auroc: Of telling them from tiles of new lots; None of those themselves.
    """

    name: str
    tiles: int
    called_strange: tuple[float, ...]
    auroc: float | None


def ood_figures(said: PValues) -> list[OodFigures]:
    """Figures of every set, that of new lots first."""
    known = said[NEW_LOTS]
    figures = []
    for name, values in said.items():
        shares = tuple(float((values <= level).mean()) for level in LEVELS)
        auroc = None
        if name != NEW_LOTS:
            strange = [0] * len(known) + [1] * len(values)
            auroc = float(roc_auc_score(strange, [*-known, *-values]))
        figures.append(OodFigures(name, len(values), shares, auroc))
    return figures


def ood_sheet(figures: Sequence[OodFigures]) -> Sheet:
    """How often each set is called strange, and how well it is told from new lots."""
    known = figures[0]
    bands = [wilson(share * known.tiles, known.tiles) for share in known.called_strange]
    told = ", ".join(f"{100 * low:.1f} to {100 * high:.1f}" for low, high in bands)
    return Sheet(
        "known tiles",
        "Table 11: how familiar tiles are to the regressor",
        ("tiles of", "tiles", *(f"<= {level:.1%}, %" for level in LEVELS), "AUROC"),
        tuple(
            (
                each.name,
                f"{each.tiles:,}",
                *(percent(share, 1) for share in each.called_strange),
                NONE if each.auroc is None else f"{each.auroc:.3f}",
            )
            for each in figures
        ),
        groups=(1, 2),
        note="Share of tiles whose familiarity is at or below a level. Of new lots it should be "
        f"the level itself; their 95% intervals, tiles taken for independent: {told}. AUROC: of "
        "telling a set from tiles of new lots. Known lots, ground powder and lots between two "
        "others are lots like any to a regressor, so 0.5 is what is expected.",
    )


def known_tiles_section(results: Path, models: Path | None) -> Section | None:
    """The section; None where nothing of it is stored.

    Args:
        results: Folder of stored answers.
        models: The model repository, whose known tiles must be those that were measured; None
            compares nothing.

    Raises:
        ResultsError: What is stored is not what its manifest speaks of.
        RecheckFailed: Others are served than were measured.
    """
    found = find(FamiliarityResult, results)
    if found is None:
        return None
    said, stated = found.sets, found.manifest()
    if models is not None:
        served = KnownTiles.read(models / "regressor" / KNOWN_TILES_FILE).statement
        if served.model_dump(mode="json") != stated["known_tiles"]:
            raise RecheckFailed(
                f"other known tiles are served ({served.version}) than were measured "
                f"({stated['known_tiles']['version']})"
            )
    figures = ood_figures(said)
    sheet = ood_sheet(figures)
    return Section(
        name="known_tiles",
        targets=(),
        sheets=(sheet,),
        content={"levels": list(LEVELS), "sets": [asdict(each) for each in figures]},
        parts=["<h2>How familiar tiles are to the regressor</h2>", table_html(sheet)],
    )
