"""The base of the errors that a person can mend; the command line turns them into a sentence."""

from __future__ import annotations

from typing import ClassVar


class TrainingError(Exception):
    """Something that a person can mend; the message says what is wrong and what to do.

    Attributes:
        exit_code: Of the command that ends with it.
    """

    exit_code: ClassVar[int] = 1
