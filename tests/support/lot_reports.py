"""Screened lots for tests of reports: pictures drawn by numpy, and what a screener might store."""

import functools
import hashlib
import io
import re
import tempfile
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

from lotwise.store import FoundTile, LotOutcome, Store, TileResult, fingerprint_of
from tests.support.stores import Clock

STATED = {
    "models": {
        "committee": {
            "version": "7",
            "weights_sha256": "ab" * 32,
            "trained_on_simulated_lots": True,
        }
    },
    "policy_version": "policy-3",
    "um_per_px": 2.0,
    "engine": "onnxruntime",
}
VERDICT = {
    "lot_id": "R01",
    "verdict": "VERDICT_REFER",
    "tiles": "12",
    "referred_share_lower": 0.45,
    "referred_share_upper": 0.9,
    "confidence": 0.95,
    "max_referred_share": 0.4,
    "looks_like": "R07",
    "looks_like_share": 0.75,
    "guarantee": {"statement": "At most 2% of accepted tiles are wrong."},
    "calibration_set": {
        "tiles": "900",
        "lots": 30,
        "sha256": "cd" * 32,
        "date": "2026-10-02T00:00:00Z",
        "origin": "CALIBRATION_ORIGIN_SIMULATED",
    },
    "diagnosis": {
        "probabilities": [
            {"shift": "SHIFT_INSTRUMENT", "probability": 0.9},
            {"shift": "SHIFT_NONE", "probability": 0.1},
        ],
        "action": "Set the instrument as it was.",
        "known_p_value": 0.004,
        "instrument_p_value": 0.012,
        "mixed_p_value": 0.5,
        "alarm_level": 0.05,
        "tiles": "12",
    },
    "settled_after": "9",
}
EXPLANATION = {
    "unit": "psi",
    "target": 2400.0,
    "reached": True,
    "before": {"mean": 2000.0},
    "after_mean": {"mean": 2390.0, "lower": 2370.0, "upper": 2410.0},
    "changes": [{"name": "porosity", "before": 0.5, "after": 0.25, "measured_change": -0.2}],
    "share_reaching": 0.8,
    "tiles": {"sampled": "12"},
}
DOCUMENT = {
    "verdict": VERDICT,
    "policy": {"threshold": 0.17, "min_familiarity": 0.05},
    "interval": {"lower": 1800.0, "upper": 2300.0, "coverage": 0.9, "unit": "psi"},
    "explanation": EXPLANATION,
}


@functools.cache
def _empty():
    # Migrations take longer than a test, so they are made once.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "empty.sqlite")
        Store.open(path, create=True).close()
        return path.read_bytes()


@contextmanager
def new_store(folder):
    """An empty store in a folder."""
    path = folder / "store.sqlite"
    path.write_bytes(_empty())
    with Store.open(path, clock=Clock()) as store:
        yield store


def picture(seed, size=(64, 96)):
    """A grey PNG of grains, by numpy."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    grains = 128 + 80 * np.sin(rows / (3 + seed % 5)) * np.cos(columns / (4 + seed % 7))
    noise = np.random.default_rng(seed).normal(0, 8, size)
    file = io.BytesIO()
    Image.fromarray(np.clip(grains + noise, 0, 255).astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def tiles_in(folder, names, *, columns=4, placed=True, content=picture):
    """Files in a folder, as a screener finds them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for index, name in enumerate(names):
        data = content(index)
        (folder / name).write_bytes(data)
        place = {"row": index // columns, "column": index % columns} if placed else {}
        sha = hashlib.sha256(data).hexdigest()
        found.append(
            FoundTile(sha256=sha, tile_id=Path(name).name, path=name, bytes=len(data), **place)
        )
    return found


def said_of(tile, index, **more):
    """A plausible result; every third tile is referred."""
    refer = index % 3 == 0
    fields = {
        "decision": "refer" if refer else "accept",
        "reasons": ("unfamiliar", "ambiguous") if refer else (),
        "score": 0.05 + 0.01 * (index % 50),
        "familiarity": 0.001 * (index % 40 + 1) if refer else 0.6,
        "looks_like": "R07",
        "confidence": 0.9,
        "entropy_nats": 0.2 + 0.05 * (index % 20),
        "diagnosis": {"probabilities": [{"shift": "SHIFT_INSTRUMENT", "probability": 0.8}]},
        "property_name": "peak stress",
        "value": 2000.0 + 10 * (index % 10),
        "unit": "psi",
    }
    return TileResult(tile=tile.id, **(fields | more))


def screen(
    store,
    found,
    *,
    name="R01",
    source="/nowhere",
    simulated=False,
    said=said_of,
    stated=STATED,
    limit=None,
    um_per_px=2.0,
):
    """A lot of which `limit` tiles have a result; its screening."""
    lot = store.register_lot(name, str(source), um_per_px=um_per_px, simulated=simulated)
    store.add_tiles(lot, found)
    screening = store.begin_screening(lot, fingerprint_of(stated), stated)
    done = 0
    while (limit is None or done < limit) and (
        tiles := store.claim(screening, "w", min(500, (limit or 10**9) - done), 600)
    ):
        store.record(screening, "w", [said(tile, done + at) for at, tile in enumerate(tiles)])
        done += len(tiles)
    return screening


def finish(store, screening, verdict="refer", document=DOCUMENT, **more):
    """Say what came of a screening."""
    done = store.progress(screening)
    fields = {
        "reasons": ("instrument_shift", "unfamiliar") if verdict == "refer" else (),
        "property_name": "peak stress",
        "mean": 2000.0,
        "sd": 50.0,
        "unit": "psi",
    }
    outcome = LotOutcome(
        verdict=verdict,
        tiles=done.done,
        accepted=done.accepted,
        referred=done.referred,
        failed=done.failed,
        document=document,
        **(fields | more),
    )
    assert store.finish(screening, outcome, early=True) == "finished"


class Page(HTMLParser):
    """What a browser makes of a page: elements with attributes, and the text outside of styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self._texts, self._open = [], [], []
        self.feed(html)
        self.text = re.sub(r"\s+", " ", " ".join(self._texts))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "style":
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag == "style":
            self._open.pop()

    def handle_data(self, data):
        if not self._open:
            self._texts.append(data.strip())

    def count(self, tag, **attributes):
        """Elements of a kind with these attributes."""
        return sum(
            kind == tag
            and attributes.items() <= {k.rstrip("_"): v for k, v in held.items()}.items()
            for kind, held in self.elements
        )

    def with_class(self, name):
        """Elements of a class."""
        return [held for _, held in self.elements if name in (held.get("class") or "").split()]

    def assert_harmless(self):
        """No script, and nothing that is fetched from elsewhere."""
        expected = {"html", "head", "meta", "title", "style", "body", "main", "header"}
        for tag, held in self.elements:
            assert tag not in {"script", "link", "iframe", "object", "embed", "base", "form"}, tag
            assert not [name for name in held if name.startswith("on")], held
            for name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                value = held.get(name)
                assert value is None or value.startswith(("data:image/png;base64,", "#")), held
        assert expected <= {tag for tag, _ in self.elements}
