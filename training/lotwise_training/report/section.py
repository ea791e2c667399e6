"""What the report shows beside the committee, where it was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lotwise_training.report.sheets import Sheet
from lotwise_training.report.targets import Target


@dataclass(frozen=True)
class Section:
    """One part of the report.

    Attributes:
        name: Its key in metrics.json.
        targets: With what was measured.
        sheets: For the screen.
        content: All figures in JSON's types.
        parts: Elements of the page.
        said: What was made anew to check the stored answers, as a sentence; empty for nothing.
    """

    name: str
    targets: tuple[Target, ...]
    sheets: tuple[Sheet, ...]
    content: dict[str, Any]
    parts: list[str]
    said: str = ""
