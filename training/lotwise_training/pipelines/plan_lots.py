"""A plan of tests for a laboratory's lots: which untested lot next, and how many more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lotwise_training.active_learning.acquisition import (
    INFORMATION,
    RISK,
    cut_of_risk,
    greedy,
    mutual_information,
    untested,
)
from lotwise_training.active_learning.embedding import PlaceSpace, lot_means
from lotwise_training.active_learning.forecast import RESAMPLES, Outlook, outlook
from lotwise_training.active_learning.gaussian_process import LotKernel, LotProcess
from lotwise_training.data.benchmark import GEOMETRY
from lotwise_training.data.folder import read_lot_folder
from lotwise_training.data.tiles import DatasetError, Floats, LotTable, Numbers
from lotwise_training.pipelines.workspace import Workspace

FEW_UNTESTED: Final = 3
"""So few untested lots hardly leave a choice; it is said."""


@dataclass(frozen=True)
class UntestedLot:
    """What is said of an untested lot.

    Attributes:
        lot_id: Its name.
        predicted: Median of the property, in its unit.
        deviation: Standard deviation of the property, log-normal, in its unit.
        cut_of_risk: Share of the untested lots' mean variance that its test is expected to cut.
        risk_rank: From 1, by `cut_of_risk`.
        mutual_information: Nats.
        information_rank: From 1, by `mutual_information`.
    """

    lot_id: str
    predicted: float
    deviation: float
    cut_of_risk: float
    risk_rank: int
    mutual_information: float
    information_rank: int


@dataclass(frozen=True, eq=False)
class LotPlan:
    """Which lots to test next.

    Attributes:
        property_name, unit: Of the property.
        tested: How many lots are tested by now.
        lots: The untested ones, the best to test first.
        batches: By measure, names of the lots to be tested next, in order.
        outlook: How large the error will be.
        nugget: Standard deviation of ln(property) that no other lot tells.
        simulated: Whether the committee was trained on simulated lots.
    """

    property_name: str
    unit: str
    tested: int
    lots: tuple[UntestedLot, ...]
    batches: dict[str, tuple[str, ...]]
    outlook: Outlook
    nugget: float
    simulated: bool = False


def plan_lots(
    table: LotTable,
    means: Floats,
    count: int = 1,
    *,
    standard_error: float = 0.0,
    simulated: bool = False,
    resamples: int = RESAMPLES,
) -> LotPlan:
    """Plan the next tests.

    Args:
        table: The L lots; those without a value are untested.
        means: float64 [L, D], as `lot_means` gives them.
        count: How many lots a batch has.
        standard_error: Of a value, relative; 0 where it is not known.
        simulated: Whether the committee was trained on simulated lots.
        resamples: Of the outlook's intervals.

    Raises:
        DatasetError: TESTED_TOO_FEW, UNTESTED_NONE, PROPERTY_CONSTANT.
        ResultsError: The committee sees the same in all lots.
    """
    tested = np.flatnonzero(~np.isnan(table.values))
    rest = untested(len(table.values), tested)
    if not len(rest):
        raise DatasetError(
            "UNTESTED_NONE",
            f"All {len(tested)} lots have a value, so there is none to test next. List the lots "
            "that might be tested too, with an empty value.",
        )
    kernel = LotKernel.of(PlaceSpace.of(means).places(means))
    process = LotProcess.fitted(kernel, tested, table.values[tested], standard_error)
    prior = process.prior()
    gains = {
        RISK: cut_of_risk(prior, tested, process.noise),
        INFORMATION: mutual_information(prior, tested, process.noise),
    }
    names = np.array(table.lot_ids)
    return LotPlan(
        table.property_name,
        table.unit,
        len(tested),
        _untested_lots(process, rest, names, gains),
        {
            RISK: tuple(names[greedy(prior, tested, process.noise, count, cut_of_risk)]),
            INFORMATION: tuple(
                names[greedy(prior, tested, process.noise, count, mutual_information)]
            ),
        },
        outlook(process, resamples),
        process.nugget,
        simulated,
    )


def plan_lot_folder(
    workspace: Workspace,
    folder: Path,
    repository: Path,
    count: int = 1,
    *,
    standard_error: float = 0.0,
) -> LotPlan:
    """Plan the next tests of a laboratory's own lots.

    Args:
        workspace: Recipes, and where tiles and answers are kept.
        folder: With lots.csv, and a folder of pictures a lot.
        repository: The model repository, whose committee looks at the tiles.
        count: How many lots a batch has.
        standard_error: Of a value, relative; 0 where it is not known.

    Raises:
        DatasetError: The folder cannot be read, or as `plan_lots`.
        LotwiseError: The repository cannot be used.
        ResultsError: The committee gives no features.
    """
    # Here, because it needs the engine that serves, which no training does.
    from lotwise_training.pipelines.exported_ensemble import open_committee

    dataset = read_lot_folder(folder, GEOMETRY, cache=workspace.cache).dataset
    if (dataset.table.values <= 0.0).any():
        raise DatasetError(
            "PROPERTY_NOT_POSITIVE",
            "Tests are planned by the logarithm of the property, so every value must be above 0.",
        )
    committee, predictor = open_committee(workspace, repository)
    outputs = predictor.predict(dataset.images, "tiles, ensemble")
    return plan_lots(
        dataset.table,
        lot_means(outputs, dataset.lots),
        count,
        standard_error=standard_error,
        simulated=committee.trained_on_simulated_lots,
    )


def ranks(gain: Floats) -> Numbers:
    """Ranks from 1 for the largest, int64 [U]; of equal ones the first is better."""
    places = np.empty(len(gain), dtype=np.int64)
    places[np.argsort(-gain, kind="stable")] = np.arange(1, len(gain) + 1)
    return places


def _untested_lots(
    process: LotProcess, rest: Numbers, names: np.ndarray, gains: dict[str, Floats]
) -> tuple[UntestedLot, ...]:
    mean, covariance = process.posterior()
    variance = np.diag(covariance)[rest]
    predicted = np.exp(mean[rest])
    # Of a log-normal with this median.
    deviation = predicted * np.exp(variance / 2) * np.sqrt(np.expm1(variance))
    risk_rank, information_rank = ranks(gains[RISK]), ranks(gains[INFORMATION])
    lots = [
        UntestedLot(
            lot_id=str(names[lot]),
            predicted=float(predicted[at]),
            deviation=float(deviation[at]),
            cut_of_risk=float(gains[RISK][at]),
            risk_rank=int(risk_rank[at]),
            mutual_information=float(gains[INFORMATION][at]),
            information_rank=int(information_rank[at]),
        )
        for at, lot in enumerate(rest)
    ]
    return tuple(sorted(lots, key=lambda lot: lot.risk_rank))
