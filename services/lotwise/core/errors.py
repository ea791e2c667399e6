"""The domain's errors. Every one has a stable reason for programs and a sentence for people.

LotwiseError
├── InvalidTile             the tile itself cannot be used; sending it again will not help
│   └── WrongMagnification  its field of view or resolution does not suit the model
├── InvalidRequest          the request around the tile is wrong
├── NotFound                a model, a policy or a reference lot that does not exist here
├── Contradiction           parts of the installation do not belong together
└── InferenceError
    ├── EngineUnavailable   the engine is down or unreachable; worth trying again
    ├── EngineOverloaded    its queue is full; worth trying again later
    ├── DeadlineExceeded    the answer did not come in the time that the caller gave
    └── InferenceFailed     the engine refused or spoiled this request

The transport's status codes are the business of `lotwise.runtime.status`.
"""

from __future__ import annotations


class LotwiseError(Exception):
    """Base of all errors that a caller may see.

    Args:
        reason: Stable, machine-readable, UPPER_SNAKE_CASE.
        message: A sentence that says what is wrong and what to do.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class InvalidTile(LotwiseError):
    """The tile cannot be used."""


class WrongMagnification(InvalidTile):
    """The tile's field of view or resolution does not suit the model."""

    def __init__(self, message: str) -> None:
        super().__init__("WRONG_MAGNIFICATION", message)


class InvalidRequest(LotwiseError):
    """The request around the tile is wrong."""


class NotFound(LotwiseError):
    """A model, a policy or a reference lot that does not exist here."""


class Contradiction(LotwiseError):
    """Parts of the installation do not belong together."""


class InferenceError(LotwiseError):
    """The engine gave no answer."""


class EngineUnavailable(InferenceError):
    """The engine is down or unreachable."""

    def __init__(self, message: str) -> None:
        super().__init__("ENGINE_UNAVAILABLE", message)


class EngineOverloaded(InferenceError):
    """The engine's queue is full."""

    def __init__(self, message: str) -> None:
        super().__init__("ENGINE_OVERLOADED", message)


class DeadlineExceeded(InferenceError):
    """The answer did not come in time."""

    def __init__(self, message: str) -> None:
        super().__init__("DEADLINE_EXCEEDED", message)


class InferenceFailed(InferenceError):
    """The engine refused or spoiled this request."""

    def __init__(self, message: str) -> None:
        super().__init__("INFERENCE_FAILED", message)
