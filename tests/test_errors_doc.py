"""docs/errors.md lists the stable reasons that the code can give: these, and no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from lotwise.core import errors
from lotwise.runtime.status import status_code

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for path in (ROOT / "services/lotwise").rglob("*.py") if path.parent.name != "v1"
)
# Turns the reason that another service gave into the same error again; it names none itself.
HANDS_ON = ("runtime/status.py", "error_from_call")
# End a command or keep a service from starting, so they have no status.
BEFORE_ANY_CALL = {
    *("ARCHIVE_INVALID", "MODELS_CHANGED", "NOTIFY_INVALID", "TILES_UNREADABLE"),
    *("ASSEMBLY_FAILED", "LOT_SIDECAR_INVALID", "POLICY_INVALID", "POLICY_MISSING"),
    *("POLICY_CONTRADICTORY", "POLICY_UNREACHABLE", "CALIBRATION_ONE_LOT"),
    *("CALIBRATION_LOT_UNKNOWN", "CALIBRATION_LOT_TOO_SMALL", "CALIBRATION_TOO_SMALL"),
    *("CALIBRATION_TILE_TWICE", "CALIBRATION_TILES_UNUSABLE"),
    *("STORE_MISSING", "STORE_INVALID", "STORE_NEWER", "STORE_OLDER", "STORE_UNREACHABLE"),
    *("STORE_BUSY", "STORE_FULL", "STORE_NOT_EMPTY", "STORE_VALUE_INVALID", "BACKUP_INVALID"),
    *("OUTPUT_UNWRITABLE", "LOT_UNKNOWN", "LOT_AMBIGUOUS", "LOT_NAME_INVALID", "LOT_DIFFERS"),
    *("LOT_TWICE", "SCREENING_UNKNOWN", "SCREENINGS_OF_OTHER_LOTS", "TILE_ENTRY_INVALID"),
    *("CLUSTER_UNCONFIGURED", "CLUSTER_UNREACHABLE", "CLUSTER_UNAUTHENTICATED"),
    *("CLUSTER_FORBIDDEN", "CLUSTER_NAMESPACE_UNKNOWN", "CLUSTER_REFUSED", "STORE_PASSWORD_SHOWN"),
    *("JOB_OPTIONS_INVALID", "JOB_EXISTS", "JOB_UNKNOWN", "JOB_FOREIGN", "JOB_INVALID"),
    *("JOB_FAILED", "JOB_DELETED", "JOB_DEADLINE_EXCEEDED", "POD_IMAGE_UNAVAILABLE"),
    *("POD_CONFIG_INVALID", "POD_START_FAILED", "POD_UNSCHEDULABLE", "POD_NOT_STARTED"),
    *("POD_OUT_OF_MEMORY", "POD_EVICTED"),
    *("TILE_OF_OTHER_LOT", "REPORT_UNIT_UNKNOWN", "PDF_UNAVAILABLE"),
    *("TRACING_MISSING", "TRACING_INVALID"),
}
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", re.MULTILINE)


def name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def error_classes(trees: list[ast.Module]) -> dict[str, ast.ClassDef]:
    """Every class below LotwiseError, wherever it is defined, and LotwiseError itself."""
    classes = {
        node.name: node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"LotwiseError"}
    while more := {
        name
        for name, node in classes.items()
        if name not in found and found & {name_of(base) for base in node.bases}
    }:
        found |= more
    return {name: classes[name] for name in found}


def own_reason(definition: ast.ClassDef) -> str | None:
    """The reason that the class itself passes to its base, if it does."""
    for node in ast.walk(definition):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"),
                args=[ast.Constant(value=str(reason)), *_],
            ):
                return reason
    return None


def collect() -> tuple[dict[str, set[str]], list[str]]:
    """Reasons with the classes that carry them, and calls whose reason cannot be read here."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    classes = error_classes(list(trees.values()))
    fixed = {name: own_reason(definition) for name, definition in classes.items()}
    reasons: dict[str, set[str]] = {}
    unread = []
    for name, reason in fixed.items():
        if reason is not None:
            reasons.setdefault(reason, set()).add(name)
    for path, tree in trees.items():
        short = path.relative_to(ROOT / "services/lotwise").as_posix()
        handing_on = {
            id(inside)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and (short, node.name) == HANDS_ON
            for inside in ast.walk(node)
        }
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            kind = name_of(call.func)
            if kind not in classes or fixed[kind] is not None or id(call) in handing_on:
                continue
            match call.args:
                case [ast.Constant(value=str(reason)), *_]:
                    reasons.setdefault(reason, set()).add(kind)
                case _:
                    unread.append(f"{short}:{call.lineno}")
    return reasons, unread


REASONS, UNREAD = collect()


def documented() -> dict[str, str]:
    """Reason -> what the table's second column says."""
    rows = ROW.findall((ROOT / "docs/errors.md").read_text(encoding="utf-8"))
    assert len(rows) == len({reason for reason, _ in rows}), "a reason has two rows"
    return dict(rows)


def test_every_reason_is_a_literal_that_can_be_found() -> None:
    assert UNREAD == []


def test_the_search_finds_both_ways_of_giving_a_reason() -> None:
    assert REASONS["TILE_BLACK"] == {"InvalidTile"}
    assert REASONS["ENGINE_OVERLOADED"] == {"EngineOverloaded"}
    assert REASONS["ASSEMBLY_FAILED"] == {"AssemblyError"}  # defined outside core/errors.py


def test_document_and_code_have_the_same_reasons() -> None:
    listed = documented()
    assert sorted(set(REASONS) - set(listed)) == [], "not in docs/errors.md"
    assert sorted(set(listed) - set(REASONS)) == [], "in docs/errors.md, but no code gives it"


def test_documented_statuses_are_those_that_calls_end_with() -> None:
    expected = dict.fromkeys(BEFORE_ANY_CALL, "none")
    for reason in REASONS.keys() - BEFORE_ANY_CALL:
        kinds = [getattr(errors, name) for name in REASONS[reason]]
        # Without __init__, as constructors differ; the class alone decides on the status.
        codes = {status_code(kind.__new__(kind)).name for kind in kinds}
        assert len(codes) == 1, f"{reason} ends calls with several statuses"
        expected[reason] = codes.pop()
    assert documented() == expected
