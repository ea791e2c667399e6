"""Text of headers -> keys and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree

_SECTION: Final = re.compile(r"^\[([^\]]{1,64})\]\s*$")
_MAX_LINES: Final = 20_000


def decode(raw: bytes) -> str:
    """UTF-8 where it is that, else Latin-1, which every vendor's degree signs are in."""
    raw = raw.replace(b"\x00", b"")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def ini(text: str) -> dict[str, dict[str, str]]:
    """Sections, their keys and values; the section before the first title is "".

    Python's configparser stops at the first line that it does not understand. Of a key that
    comes twice, the first counts.
    """
    sections: dict[str, dict[str, str]] = {}
    current = sections.setdefault("", {})
    for line in text.splitlines()[:_MAX_LINES]:
        title = _SECTION.match(line.strip())
        if title is not None:
            current = sections.setdefault(title[1].strip(), {})
            continue
        key, equals, value = line.partition("=")
        if equals and key.strip():
            current.setdefault(key.strip(), value.strip())
    return sections


def first(values: Mapping[str, str], *keys: str) -> str | None:
    """The first of these keys' values that is not empty."""
    return next((values[key] for key in keys if values.get(key)), None)


def xml(text: str) -> ElementTree.Element | None:
    """The root of an XML text; None where it is broken or declares entities, which can explode."""
    start = text.find("<")
    if start < 0 or "<!DOCTYPE" in text or "<!ENTITY" in text:
        return None
    body = re.sub(r"^<\?xml.*?\?>", "", text[start:], count=1, flags=re.DOTALL).strip()
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError):
        return None
