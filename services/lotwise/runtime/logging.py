"""JSON logs, one object a line on standard error, each with the request's id.

`trace_id`, the same, and `span_id` are what other tools join logs and traces by.
"""

from __future__ import annotations

import logging
import sys

from pythonjsonlogger.json import JsonFormatter

from lotwise.runtime.request import current_request


class _RequestId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        trace = current_request().trace
        record.request_id = record.trace_id = trace.trace_id
        record.span_id = trace.span_id
        return True


def configure_logging(service: str, level: str) -> None:
    """Send this process's logs to standard error as JSON.

    Args:
        service: Name that every line carries.
        level: DEBUG, INFO, WARNING or ERROR.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}{request_id}{trace_id}{span_id}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            static_fields={"service": service},
        )
    )
    handler.addFilter(_RequestId())
    logging.basicConfig(level=level, handlers=[handler], force=True)
