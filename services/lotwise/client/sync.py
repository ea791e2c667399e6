"""The client for scripts and notebooks: every call waits for its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lotwise.client import questions
from lotwise.client.answers import (
    BackwardExplanation,
    Decision,
    ForwardExplanation,
    LotVerdict,
    Prediction,
    TileFailure,
    Uncertainty,
)
from lotwise.client.connection import IN_FLIGHT
from lotwise.client.interval_calls import IntervalCalls
from lotwise.client.lot_calls import LotExplainCalls
from lotwise.client.questions import LotQuestion, OtherUnit, Target
from lotwise.client.tiles import TileLike
from lotwise.screening.folder import read_lot_folder


class Client(IntervalCalls, LotExplainCalls):
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
        host: Where `lotwise up` runs, on its standard ports.
        predict, uncertainty, referral, explain: host:port of a service that is elsewhere.
        timeout: Seconds that a call for one tile may take, unless the call says otherwise.
        retries: How often a call is repeated that ended with UNAVAILABLE, after growing random
            pauses from 0.2 s; 0 to 4.
        tls: True for TLS with gRPC's own root certificates, a path for those in a PEM file.
            Services speak plain gRPC themselves: TLS is what a proxy before them adds.
        max_message_bytes: Larger requests are not sent, larger answers refused.

    Raises:
        ValueError: A number out of range.
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
        timeout: float | None = None,
    ) -> Uncertainty:
        """Which reference lot a tile looks like, and how sure the committee is.

        Arguments and errors as in `predict`; `model` is the name of a committee.
        """
        return self._ask(questions.uncertainty(model), tile, lot_id, um_per_px, timeout)

    def uncertainty_many(
        self,
        tiles: Iterable[TileLike],
        *,
        lot_id: str = "",
        um_per_px: float | None = None,
        model: str = "",
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[Uncertainty | TileFailure]:
        """`uncertainty` of many tiles; arguments and errors as in `predict_many`."""
        question = questions.uncertainty(model)
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

        Arguments as in `predict`; `policy` is the version of the policy that must decide, the
        service's own if empty.

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
            on_tile: Called with each decision as it comes.
            timeout: Seconds for the whole lot; None for no limit.

        Raises:
            InvalidRequest: LOT_MISSING, LOT_EMPTY, LOT_SIDECAR_INVALID, LOT_TOO_LARGE.
            LotwiseError: The service is down, or the stream broke: screen the lot again.
        """
        tiles, simulated = lot, False
        if isinstance(lot, str | Path):
            folder = read_lot_folder(Path(lot), um_per_px)
            tiles, simulated = folder.tiles, folder.simulated
            lot_id, um_per_px = lot_id or folder.lot_id, folder.um_per_px
        assert not isinstance(tiles, str | Path)
        question = LotQuestion(policy)
        decisions: list[Decision | TileFailure] = []
        verdict = None
        for tile, response in self._exchange(
            question, tiles, lot_id, um_per_px, IN_FLIGHT, timeout
        ):
            if tile is None:
                verdict = response.verdict
                continue
            decisions.append(question.outcome(tile, response))
            if on_tile is not None:
                on_tile(decisions[-1])
        return question.verdict(verdict, decisions, simulated)

    def explain_forward(
        self,
        tile: TileLike,
        *,
        vary: str,
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        images: bool = True,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> ForwardExplanation:
        """The property along one attribute of the lot, all others fixed.

            swept = lotwise.explain_forward("tile.tif", lot_id="R01", vary="porosity", steps=5)
            for step in swept.steps:
                print(step.attribute_value, step.quantity.psi)
                step.image.save(f"porosity_{step.attribute_value:.2f}.png")

        Args:
            tile: The tile; see the class.
            vary: Name of the attribute.
            attributes: The lot's attributes, each 0 to 1 over the model's design range. May be
                left out where `lot_id` is one of the model's reference lots.
            steps: Number of values, equally spaced over 0 to 1; 2 to 101, or 0 for 11.
            images: Whether the edited pictures come too.
            allow_unfamiliar: Whether a tile that looks like none that the models know is explained,
                too. The answer is then marked `unfamiliar`; do not act on it.
            lot_id: The lot.
            um_per_px: Length of a pixel in micrometres.
            timeout: Seconds.

        Raises:
            InvalidRequest: ATTRIBUTE_UNKNOWN, ATTRIBUTES_MISSING, ATTRIBUTE_OUT_OF_RANGE,
                STEPS_OUT_OF_RANGE.
            InvalidTile: TILE_UNFAMILIAR.
            LotwiseError: See the class.
        """
        question = questions.explain_forward(
            attributes or {}, vary, steps, images, allow_unfamiliar
        )
        return self._ask(question, tile, lot_id, um_per_px, timeout)

    def explain_forward_many(
        self,
        tiles: Iterable[TileLike],
        *,
        vary: str,
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        images: bool = True,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[ForwardExplanation | TileFailure]:
        """`explain_forward` of many tiles; arguments and errors also as in `predict_many`."""
        question = questions.explain_forward(
            attributes or {}, vary, steps, images, allow_unfamiliar
        )
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    def explain_backward(
        self,
        tile: TileLike,
        *,
        target: float,
        unit: str = "psi",
        tolerance: float = 0.0,
        attributes: Mapping[str, float] | None = None,
        immutable: str | Sequence[str] = (),
        ranges: Mapping[str, tuple[float, float]] | None = None,
        costs: Mapping[str, float] | None = None,
        starts: int = 0,
        max_evaluations: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> BackwardExplanation:
        """The smallest change of attributes that reaches a property.

        Args:
            tile: The tile; see the class.
            target: The property to reach, in `unit`.
            unit: Of target and tolerance: "psi", "MPa", or the model's own. Both are converted
                to the model's; the answer's values are in that one.
            tolerance: How near is near enough; 0 for 1% of the target.
            attributes: As in `explain_forward`.
            immutable: Attributes that must stay as they are.
            ranges: (minimum, maximum) by attribute, where it may not go from 0 to 1.
            costs: What a change by 1 costs, by attribute; 1 where none is stated.
            starts: Searches from different places, 16 at most; 0 for 3. Whether they agree is in
                the answer.
            max_evaluations: Steps of all searches together, 2000 at most; 0 for 200.
            allow_unfamiliar: As in `explain_forward`.
            lot_id: As in `explain_forward`.
            um_per_px: Length of a pixel in micrometres.
            timeout: Seconds.

        Raises:
            InvalidRequest: As `explain_forward`; TARGET_INVALID, TOLERANCE_INVALID,
                NOTHING_MUTABLE, EVALUATIONS_OUT_OF_RANGE, STARTS_OUT_OF_RANGE, RANGE_INVALID,
                RANGE_EXCLUDES_LOT, COST_INVALID.
            InvalidTile: TILE_UNFAMILIAR.
            LotwiseError: See the class.
        """
        wanted = Target(
            target,
            tolerance,
            unit,
            immutable,
            ranges,
            costs,
            starts,
            max_evaluations,
            allow_unfamiliar,
        )
        known = attributes or {}
        try:
            question = questions.explain_backward(known, wanted, self._model_unit)
            return self._ask(question, tile, lot_id, um_per_px, timeout)
        except OtherUnit as other:
            self._model_unit = other.unit
        question = questions.explain_backward(known, wanted, self._model_unit)
        return self._ask(question, tile, lot_id, um_per_px, timeout)

    def explain_backward_many(
        self,
        tiles: Iterable[TileLike],
        *,
        target: float,
        unit: str = "psi",
        tolerance: float = 0.0,
        attributes: Mapping[str, float] | None = None,
        immutable: str | Sequence[str] = (),
        ranges: Mapping[str, tuple[float, float]] | None = None,
        costs: Mapping[str, float] | None = None,
        starts: int = 0,
        max_evaluations: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        in_flight: int = IN_FLIGHT,
        timeout: float | None = None,
    ) -> Iterator[BackwardExplanation | TileFailure]:
        """`explain_backward` of many tiles; arguments and errors also as in `predict_many`.

        Raises InvalidRequest (TARGET_INVALID) where the model's property turns out to be in
        another unit; then call again: the client knows it from now on.
        """
        wanted = Target(
            target,
            tolerance,
            unit,
            immutable,
            ranges,
            costs,
            starts,
            max_evaluations,
            allow_unfamiliar,
        )
        question = questions.explain_backward(attributes or {}, wanted, self._model_unit)
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)
