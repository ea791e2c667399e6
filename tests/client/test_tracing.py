"""What the client does where the application has no traces; tests/integration has those that do."""

import subprocess
import sys

LOADED = """
import sys
from opentelemetry import trace
from lotwise.client.tracing import traced

class Stub:
    def Predict(self, request, **said):
        return said

with traced(Stub(), "predict", "Predict") as call:
    assert call(None, timeout=1) == {"timeout": 1}
known = trace.SpanContext(1, 2, is_remote=False, trace_flags=trace.TraceFlags(0))
with trace.use_span(trace.NonRecordingSpan(known)):
    with traced(Stub(), "predict", "Predict") as call:
        header = f"00-{1:032x}-{2:016x}-00"
        assert call(None) == {"metadata": (("traceparent", header),)}
print("opentelemetry.sdk" in sys.modules)
"""


def test_without_a_provider_no_trace_is_begun_and_the_applications_own_goes_on():
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOADED], check=True, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "False"
