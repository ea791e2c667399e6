"""The base template of all reports and its style sheet. Needs the extra "report".

A page refers to nothing outside of itself and runs no scripts.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

import jinja2

_BASE: Final = Path(__file__).with_name("templates")


def environment(templates: Path) -> jinja2.Environment:
    """Templates of a report, which may extend "base.html.j2"; all values are escaped.

    Args:
        templates: Folder of the report's templates.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([templates, _BASE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["lotwise"] = version("lotwise")
    return made
