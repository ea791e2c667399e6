"""Rows of the database as values."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from lotwise.store.rows import (
    Delivery,
    LotKey,
    LotOutcome,
    Screening,
    ScreeningKey,
    StoredResult,
    StoredTile,
    TileResult,
)
from lotwise.store.schema import deliveries, lots, results, screenings, tiles

TILE_COLUMNS: Final = (
    tiles.c.id,
    tiles.c.sha256,
    tiles.c.tile_id,
    tiles.c.path,
    tiles.c.bytes,
    tiles.c.mosaic_row,
    tiles.c.mosaic_column,
)
MOSAIC_ORDER: Final[tuple[sa.ColumnElement[Any], ...]] = (
    # SQLite's own order of NULL, in which its index serves.
    tiles.c.mosaic_row.asc().nulls_first(),
    tiles.c.mosaic_column.asc().nulls_first(),
    tiles.c.path,
    tiles.c.id,
)


def tile_of(row: Any) -> StoredTile:
    """A row that begins with `TILE_COLUMNS`."""
    id_, sha256, tile_id, path, size, mosaic_row, mosaic_column = row[: len(TILE_COLUMNS)]
    return StoredTile(
        id=id_,
        sha256=sha256,
        tile_id=tile_id,
        path=path,
        bytes=size,
        row=mosaic_row,
        column=mosaic_column,
    )


def result_values(result: TileResult) -> dict[str, Any]:
    """A result's columns, without those of its recording."""
    return {
        "tile": result.tile,
        "decision": result.decision,
        "reasons": list(result.reasons),
        "score": result.score,
        "familiarity": result.familiarity,
        "looks_like": result.looks_like,
        "confidence": result.confidence,
        "entropy_nats": result.entropy_nats,
        "diagnosis": result.diagnosis,
        "property": result.property_name,
        "value": result.value,
        "interval_low": result.interval_low,
        "interval_high": result.interval_high,
        "unit": result.unit,
        "quality": result.quality,
        "error_reason": result.error_reason,
        "error_message": result.error_message,
        "provenance": result.provenance,
    }


def stored_result(row: Any) -> StoredResult:
    """A row of `TILE_COLUMNS` and all columns of results."""
    said = row._mapping

    def of(column: str) -> Any:
        return said[results.c[column]]

    return StoredResult(
        tile=tile_of(row),
        result=TileResult(
            tile=of("tile"),
            decision=of("decision"),
            reasons=tuple(of("reasons")),
            score=of("score"),
            familiarity=of("familiarity"),
            looks_like=of("looks_like") or "",
            confidence=of("confidence"),
            entropy_nats=of("entropy_nats"),
            diagnosis=of("diagnosis"),
            property_name=of("property") or "",
            value=of("value"),
            interval_low=of("interval_low"),
            interval_high=of("interval_high"),
            unit=of("unit") or "",
            quality=of("quality"),
            error_reason=of("error_reason") or "",
            error_message=of("error_message") or "",
            provenance=of("provenance"),
        ),
        worker=of("worker"),
        screened_at=of("screened_at"),
    )


def outcome_values(outcome: LotOutcome) -> dict[str, Any]:
    """The columns of a screening that say what came of it."""
    return {
        "verdict": outcome.verdict,
        "reasons": list(outcome.reasons),
        "tiles": outcome.tiles,
        "accepted": outcome.accepted,
        "referred": outcome.referred,
        "failed": outcome.failed,
        "property": outcome.property_name,
        "mean": outcome.mean,
        "sd": outcome.sd,
        "unit": outcome.unit,
        "document": outcome.document,
    }


OUTCOME_COLUMNS: Final = tuple(
    outcome_values(LotOutcome(verdict="", tiles=0, accepted=0, referred=0, failed=0))
)
SCREENING: Final = sa.select(screenings, lots.c.name, lots.c.source).join_from(screenings, lots)


def screening_of(row: Any) -> Screening:
    """A row of `SCREENING`."""
    said = row._mapping

    def of(column: str) -> Any:
        return said[screenings.c[column]]

    outcome = None
    if of("finished") is not None:
        outcome = LotOutcome(
            verdict=of("verdict") or "",
            reasons=tuple(of("reasons") or ()),
            tiles=of("tiles") or 0,
            accepted=of("accepted") or 0,
            referred=of("referred") or 0,
            failed=of("failed") or 0,
            property_name=of("property") or "",
            mean=of("mean"),
            sd=of("sd"),
            unit=of("unit") or "",
            document=of("document"),
        )
    return Screening(
        key=ScreeningKey(of("id"), of("lot_id")),
        lot=LotKey(of("lot_id"), said[lots.c.name], said[lots.c.source]),
        fingerprint=of("fingerprint"),
        stated=of("stated"),
        started=of("started"),
        finished=of("finished"),
        outcome=outcome,
    )


DELIVERY: Final = sa.select(deliveries, screenings.c.lot_id).join_from(deliveries, screenings)


def delivery_of(row: Any) -> Delivery:
    """A row of `DELIVERY`."""
    said = row._mapping

    def of(column: str) -> Any:
        return said[deliveries.c[column]]

    return Delivery(
        id=of("id"),
        screening=ScreeningKey(of("screening"), said[screenings.c.lot_id]),
        target=of("target"),
        payload=of("payload"),
        attempts=of("attempts"),
        next_attempt_at=of("next_attempt_at"),
        delivered_at=of("delivered_at"),
        last_error=of("last_error") or "",
    )
