"""Memory of a screener against the size of a lot: `python -m benchmarks.screening_memory`.

An engine that answers at once stands in for the services, so that only the screener is measured.
Each lot is screened in a process of its own, whose peak is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lotwise.screening.services import Answered, Services
from lotwise.screening.sources import open_source
from lotwise.screening.stored import StoredScreening
from lotwise.store import Store
from lotwise.v1 import diagnosis_pb2, predict_pb2, referral_pb2, tile_pb2

SIZES = (1_000, 60_000)
PLACES = 16
TILE_BYTES = 4096
"""Of a file; its content is read and sent nowhere."""


class InstantServices(Services):
    """Answers at once, as the services would."""

    async def ask(self, tile: tile_pb2.Tile) -> Answered:
        """See `Services`."""
        model = tile_pb2.ModelVersion(name="committee", version="1", weights_sha256="a" * 64)
        provenance = tile_pb2.Provenance(models=[model], policy_version="p", engine="instant")
        shifts = (
            diagnosis_pb2.SHIFT_NONE,
            diagnosis_pb2.SHIFT_INSTRUMENT,
            diagnosis_pb2.SHIFT_SYNTHESIS,
            diagnosis_pb2.SHIFT_UNRELATED,
        )
        diagnosis = diagnosis_pb2.Diagnosis(
            probabilities=[
                diagnosis_pb2.ShiftProbability(shift=shift, probability=0.25) for shift in shifts
            ],
            diagnosis_version="d",
            place=[0.1] * PLACES,
        )
        decision = referral_pb2.DecideResponse(
            tile_id=tile.tile_id,
            decision=referral_pb2.DECISION_ACCEPT,
            score=0.1,
            familiarity=0.5,
            looks_like="R01",
            confidence=0.9,
            provenance=provenance,
            diagnosis=diagnosis,
        )
        prediction = predict_pb2.PredictResponse(
            property="peak stress", value=len(tile.file), unit="psi", provenance=provenance
        )
        return Answered(decision, prediction)

    async def conclude(
        self, messages: list[referral_pb2.DecideLotRequest]
    ) -> referral_pb2.LotVerdict:
        """See `Services`."""
        return referral_pb2.LotVerdict(
            verdict=referral_pb2.VERDICT_ACCEPT, confidence=0.95, max_referred_share=0.4
        )


def write_lot(folder: Path, tiles: int) -> None:
    """Files of different content, a tile each."""
    folder.mkdir(parents=True)
    for number in range(tiles):
        content = number.to_bytes(4, "little") * (TILE_BYTES // 4)
        (folder / f"r{number // 250:04d}_c{number % 250:04d}.png").write_bytes(content)


async def _screen(folder: Path, store: Path) -> int:
    async with InstantServices({}) as services:
        with Store.open(store, create=True) as opened:
            found = await StoredScreening(opened, open_source(str(folder)), services).run()
            return sum(1 for _ in opened.results(found.key))


def measured(tiles: int, scratch: Path) -> tuple[float, float, int]:
    """Peak of a screener in MiB, its time in seconds, and how many results it kept.

    Args:
        tiles: Of the lot.
        scratch: A folder to work in.
    """
    folder = scratch / str(tiles)
    write_lot(folder, tiles)
    command = [sys.executable, "-m", "benchmarks.screening_memory", "--lot", str(folder)]
    started = time.perf_counter()
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    peak, results = said.split()
    return int(peak) / 1024, time.perf_counter() - started, int(results)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lot", type=Path, help="screen this folder and print the peak in KiB")
    parser.add_argument("--tiles", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    if options.lot is not None:
        results = asyncio.run(_screen(options.lot, options.lot.with_suffix(".sqlite")))
        sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss} {results}\n")
        return
    table = Table(title="A screener with an engine that answers at once", title_justify="left")
    for heading in ("tiles", "results", "peak, MiB", "against the first", "tiles/s"):
        table.add_column(heading, justify="right")
    first = None
    with tempfile.TemporaryDirectory() as scratch:
        for tiles in track(options.tiles, "lots"):
            peak, seconds, results = measured(tiles, Path(scratch))
            first = first or peak
            table.add_row(
                f"{tiles:,}",
                f"{results:,}",
                f"{peak:.0f}",
                f"{peak / first:.3f}",
                f"{tiles / seconds:.0f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
