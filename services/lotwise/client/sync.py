"""The client for scripts and notebooks: every call waits for its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lotwise.client import questions
from lotwise.client.answers import (
    Decision,
    LotVerdict,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.connection import IN_FLIGHT
from lotwise.client.explain_calls import ExplainCalls
from lotwise.client.interval_calls import IntervalCalls
from lotwise.client.lot_calls import LotExplainCalls
from lotwise.client.tiles import TileLike
from lotwise.core.errors import EngineUnavailable
from lotwise.screening.folder import read_lot_folder


class Client(IntervalCalls, ExplainCalls, LotExplainCalls):
    """Asks the four services; safe to use from several threads.

        with Client() as lotwise:
            answer = lotwise.predict("tile.tif")
            print(f"{answer.property_name}: {answer.mpa:.1f} MPa")

    It needs no event loop and works inside a running one, as in Jupyter.

    Every method that takes a tile accepts what `Tile` holds: a path, the bytes of a PNG, JPEG,
    BMP or TIFF file, an array [height, width] of uint8, uint16 or float32 (0 to 1), a Pillow
    image; or a `Tile` that says more of it. Beside a path, `lot.json` and the instrument's own
    sidecar file are read. `um_per_px`, the length of a pixel in micrometres, must be stated where
    neither of these nor the file does; stated, it goes before them.

    Every method raises `LotwiseError` with a `reason` for programs and a `message` for people;
    docs/errors.md lists them. A tile that cannot be used is an `InvalidTile`, a platform that is
    not running an `EngineUnavailable`, a deadline that passed a `DeadlineExceeded`.

    Args:
        host: Where `lotwise up` runs, on its standard ports; several with commas between them.
        predict, uncertainty, referral, explain: host:port of a service that is elsewhere;
            several with commas between them, or `dns:///name:port`, are asked in turn.
        timeout: Seconds that a call for one tile may take, unless the call says otherwise.
        retries: How often a call is repeated that ended with UNAVAILABLE, after growing random
            pauses from 0.2 s; 0 to 4.
        tls: True for TLS with gRPC's own root certificates, a path for those in a PEM file.
            Services speak plain gRPC themselves: TLS is what a proxy before them adds.
        max_message_bytes: Larger requests are not sent, larger answers refused.

    Raises:
        ValueError: A number out of range, or no address.
        OSError: The file of certificates cannot be read.
    """

    def predict(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        timeout: float | None = None,
    ) -> Prediction:
        """The lot's property, by one tile.

        Args:
            tile: The tile; see the class.
            lot_id: The lot that it shows.
            um_per_px: Length of a pixel in micrometres.
            model: Name of the regressor; the service's default if empty.
            timeout: Seconds.

        Returns:
            The property, with `psi`, `mpa`, and `value` in the model's own `unit`.

        Raises:
            LotwiseError: See the class; NotFound or InvalidRequest for a wrong `model`.
        """
        return self._ask(questions.predict(model), tile, lot_id, um_per_px, timeout)

    def predict_many(
        self,
        tiles: Iterable[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[Prediction | TileFailure]:
        """The property by each of many tiles, in their order, over one stream.

            for answer in lotwise.predict_many(Path("lot").glob("*.tif")):
                if isinstance(answer, TileFailure):
                    print(answer.tile_id, answer.reason)
                else:
                    print(answer.tile_id, answer.psi)

        Args:
            tiles: Taken as they are needed, so that they may come from an instrument. They are
                taken in another thread.
            lot_id: As in `predict`, for tiles that do not say it themselves.
            um_per_px: Likewise.
            model: As in `predict`.
            in_flight: Tiles that may have been taken without their answers having been read; so
                many are in memory.
            timeout: Seconds for the whole stream; None for no limit.

        Yields:
            The answer to each tile. One without an answer gives a `TileFailure` in its place, and
            the rest goes on.

        Raises:
            LotwiseError: The service is down, or the stream broke.
        """
        question = questions.predict(model)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    def uncertainty(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        cascade: bool = False,
        timeout: float | None = None,
    ) -> Uncertainty:
        """Which reference lot a tile looks like, and how sure the committee is.

        Arguments and errors as in `predict`; `model` is the name of a committee. With `cascade`
        few of its members are asked first, and the others only where they could change a decision.
        """
        return self._ask(questions.uncertainty(model, cascade), tile, lot_id, um_per_px, timeout)

    def uncertainty_many(
        self,
        tiles: Iterable[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        cascade: bool = False,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[Uncertainty | TileFailure]:
        """`uncertainty` of many tiles; arguments and errors as in `predict_many`."""
        question = questions.uncertainty(model, cascade)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    def refer(
        self,
        tile: TileLike,
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        timeout: float | None = None,
    ) -> Decision:
        """Accept one tile, or refer it to an expert and say why.

        Arguments as in `predict`; `policy` is the version of the policy that must decide, or
        "full" or "cascade" for that of the whole committee or of the cascade; the service's own if
        empty.

        Raises:
            LotwiseError: See the class; NotFound where the service has another policy.
        """
        return self._ask(questions.refer(policy), tile, lot_id, um_per_px, timeout)

    def refer_many(
        self,
        tiles: Iterable[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[Decision | TileFailure]:
        """`refer` of many tiles; arguments and errors as in `predict_many`."""
        question = questions.refer(policy)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    def screen_lot(
        self,
        lot: str | Path | Sequence[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        policy: str = "",
        stop_early: bool = False,
        on_tile: Callable[[Decision | TileFailure], None] | None = None,
        timeout: float | None = None,
    ) -> LotVerdict:
        """Accept a whole lot, or refer it to an expert.

        Args:
            lot: The folder with its tiles, or a list of them.
            lot_id: Its name; of a folder, what `lot.json` says or the folder's name. Must be
                stated for a list.
            um_per_px: As in `predict`.
            policy: As in `refer`.
            stop_early: Send no more tiles once enough have come for the verdict. Tests on the lot
                as a whole then rest on those that were sent.
            on_tile: Called with each decision as it comes.
            timeout: Seconds for the whole lot; None for no limit.

        Raises:
            InvalidRequest: LOT_MISSING, LOT_EMPTY, LOT_SIDECAR_INVALID, LOT_TOO_LARGE.
            LotwiseError: The service is down. A stream that breaks is opened again, `retries` times
                without an answer in between, and goes on where it was.
        """
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = read_lot_folder(Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        sending = self._sending(tiles, policy, stop_early=stop_early, timeout=timeout)
        while True:
            try:
                for tile, response in self._exchange_lot(sending, lot_id, um_per_px):
                    decided = sending.receive(tile, response)
                    if decided is not None and on_tile is not None:
                        on_tile(decided)
            except EngineUnavailable as failure:
                time.sleep(sending.again(failure))
            else:
                return sending.verdict(simulated)
