import json
import subprocess
import sys

import pytest

TRACE = "0af7651916cd43dd8448eb211c80319c"
SCRIPT = f"""
import logging
from lotwise.runtime.logging import configure_logging
from lotwise.runtime.request import Request, Trace, set_request

configure_logging("predict", LEVEL)
logger = logging.getLogger("lotwise.anything")
logger.debug("detail")
set_request(Request(Trace("{TRACE}", "b7ad6b7169203331")))
logger.info("plain", extra={{"tile": "a", "seconds": 0.5}})
logger.warning("with %s and\\nmany lines: 'größe' \\"", "arguments")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("failed")
"""


def log(level):
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.replace("LEVEL", repr(level))],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    assert ended.stdout == ""
    return [json.loads(line) for line in ended.stderr.splitlines()]


def test_every_line_is_a_json_object_with_the_request_id():
    lines = log("INFO")
    assert [line["level"] for line in lines] == ["INFO", "WARNING", "ERROR"]
    for line in lines:
        assert line["request_id"] == line["trace_id"] == TRACE
        assert line["span_id"] == "b7ad6b7169203331"
        assert line["service"] == "predict"
        assert line["logger"] == "lotwise.anything"
        assert line["time"]
    plain, warning, failed = lines
    assert (plain["message"], plain["tile"], plain["seconds"]) == ("plain", "a", 0.5)
    assert warning["message"] == "with arguments and\nmany lines: 'größe' \""
    assert "ZeroDivisionError" in failed["exc_info"]


@pytest.mark.parametrize(("level", "first"), [("DEBUG", "detail"), ("ERROR", "failed")])
def test_less_severe_lines_than_asked_for_are_left_out(level, first):
    assert log(level)[0]["message"] == first
