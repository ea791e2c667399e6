"""Calls that explain tiles, of both clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence

from lotwise.client import questions
from lotwise.client.answers import TileFailure
from lotwise.client.connection import IN_FLIGHT
from lotwise.client.explanations import (
    BackwardExplanation,
    EditedTile,
    ForwardExplanation,
    PairExplanation,
)
from lotwise.client.interval_calls import Tiles
from lotwise.client.questions import OtherUnit, Target
from lotwise.client.tiles import TileLike
from lotwise.client.transport import AsyncTransport, Transport


class ExplainCalls(Transport):
    """Those of the client that waits."""

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

    def explain_pair(
        self,
        tile: TileLike,
        *,
        pair: tuple[str, str],
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> PairExplanation:
        """The property over two attributes of the lot, all others fixed.

        Args:
            tile: The tile; see the class.
            pair: Names of the attributes.
            attributes: As in `explain_forward`.
            steps: Number of values of each; 2 to 31, or 0 for 11. Every pair is an edit.
            allow_unfamiliar: As in `explain_forward`.
            lot_id: The lot.
            um_per_px: Length of a pixel in micrometres.
            timeout: Seconds.

        Raises LotwiseError as `explain_forward`, and ATTRIBUTE_TWICE.
        """
        question = questions.explain_pair(attributes or {}, pair, steps, allow_unfamiliar)
        return self._ask(question, tile, lot_id, um_per_px, timeout)

    def explain_edit(
        self,
        tile: TileLike,
        *,
        wanted: Mapping[str, float],
        attributes: Mapping[str, float] | None = None,
        image: bool = True,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> EditedTile:
        """What the lot would be with other attributes: one edit, fast enough for a slider.

            edited = lotwise.explain_edit("tile.tif", lot_id="R01", wanted={"size": 0.4})
            print(edited.quantity.psi, "not", edited.original.psi)

        Args:
            tile: The tile; see the class. Asked about again, it is not encoded again.
            wanted: Attributes by name, each 0 to 1; those that are not named stay.
            attributes: As in `explain_forward`.
            image: Whether the edited picture comes too.
            allow_unfamiliar: As in `explain_forward`.
            lot_id: The lot.
            um_per_px: Length of a pixel in micrometres.
            timeout: Seconds.

        Raises:
            LotwiseError: As `explain_forward`.
        """
        question = questions.explain_edit(attributes or {}, wanted, image, allow_unfamiliar)
        return self._ask(question, tile, lot_id, um_per_px, timeout)

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


class AsyncExplainCalls(AsyncTransport):
    """Those of the client with an event loop."""

    async def explain_forward(
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
        """As `Client.explain_forward`."""
        question = questions.explain_forward(
            attributes or {}, vary, steps, images, allow_unfamiliar
        )
        return await self._ask(question, tile, lot_id, um_per_px, timeout)

    def explain_forward_many(
        self,
        tiles: Tiles,
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
    ) -> AsyncGenerator[ForwardExplanation | TileFailure, None]:
        """As `Client.explain_forward_many`."""
        question = questions.explain_forward(
            attributes or {}, vary, steps, images, allow_unfamiliar
        )
        return self._ask_many(question, tiles, lot_id, um_per_px, in_flight, timeout)

    async def explain_pair(
        self,
        tile: TileLike,
        *,
        pair: tuple[str, str],
        attributes: Mapping[str, float] | None = None,
        steps: int = 0,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> PairExplanation:
        """As `Client.explain_pair`."""
        question = questions.explain_pair(attributes or {}, pair, steps, allow_unfamiliar)
        return await self._ask(question, tile, lot_id, um_per_px, timeout)

    async def explain_edit(
        self,
        tile: TileLike,
        *,
        wanted: Mapping[str, float],
        attributes: Mapping[str, float] | None = None,
        image: bool = True,
        allow_unfamiliar: bool = False,
        lot_id: str = "",
        um_per_px: float | None = None,
        timeout: float | None = None,
    ) -> EditedTile:
        """As `Client.explain_edit`."""
        question = questions.explain_edit(attributes or {}, wanted, image, allow_unfamiliar)
        return await self._ask(question, tile, lot_id, um_per_px, timeout)

    async def explain_backward(
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
        """As `Client.explain_backward`."""
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
            return await self._ask(question, tile, lot_id, um_per_px, timeout)
        except OtherUnit as other:
            self._model_unit = other.unit
        question = questions.explain_backward(known, wanted, self._model_unit)
        return await self._ask(question, tile, lot_id, um_per_px, timeout)

    def explain_backward_many(
        self,
        tiles: Tiles,
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
    ) -> AsyncGenerator[BackwardExplanation | TileFailure, None]:
        """As `Client.explain_backward_many`."""
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
