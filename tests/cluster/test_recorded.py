"""What the recorded API says has the shapes of the real one's."""

import kubernetes_validate
import pytest

from tests.support import recorded_kubernetes as recorded

OBJECTS = {
    "job": recorded.job(),
    "suspended job": recorded.job(suspend=True),
    "running job": recorded.job(**recorded.RUNNING),
    "job that succeeded": recorded.job(**recorded.COMPLETE),
    "job that failed": recorded.job(**recorded.failed("DeadlineExceeded", "too long")),
    "pod": recorded.pod(recorded.POD, "Running", recorded.ended(0), recorded.RUNS),
    "pod that waits": recorded.pod(
        recorded.POD, "Pending", recorded.waits("ImagePullBackOff", "Back-off")
    ),
    "pod that no node takes": recorded.unschedulable(),
    "warning": recorded.warning("FailedCreate", "exceeded quota"),
    "list": recorded.listed("Pod", recorded.pod()).body,
}


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@pytest.mark.parametrize("what", OBJECTS)
def test_objects_are_valid(what, version):
    kubernetes_validate.validate(OBJECTS[what], version, strict=True)
