"""Jobs that are followed to their end, or to where they cannot go on."""

import time

import pytest

from lotwise.cluster.connection import Cluster
from lotwise.cluster.errors import ClusterError
from lotwise.cluster.following import Follower
from tests.support import recorded_kubernetes as recorded
from tests.support.recorded_kubernetes import (
    COMPLETE,
    EVENTS,
    JOBS,
    NAME,
    NAMESPACE,
    POD,
    PODS,
    RUNNING,
    RUNS,
    changes,
    ended,
    job,
    listed,
    log,
    pod,
    refused,
    unschedulable,
    waits,
    warning,
)

JOB = f"{JOBS}/{NAME}"
LOG = f"{PODS}/{POD}/log"


class Heard:
    """What a follower shows and tells."""

    def __init__(self):
        self.lines = []
        self.told = []

    def show(self, pod, container, line):
        self.lines.append((container, line))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def follow(api, heard):
    def run(patience_s=60.0):
        Follower(
            cluster=Cluster(NAMESPACE),
            tell=heard.told.append,
            show=heard.show,
            patience_s=patience_s,
            pause_s=0.01,
        ).follow(NAME)

    return run


def lines(*numbers):
    return [f"2026-11-27T22:00:{n:02}.000000000Z line {n}\n" for n in numbers]


def at_the_end(api, *states, phase="Succeeded", **status):
    """The job runs twice when it is looked at, and then is at its end, as its pod is."""
    running = job(**RUNNING)
    api.on("GET", JOB, running, running, running, job(**(status or COMPLETE)))
    api.on("GET", PODS, *[listed("Pod", pod(POD, "Running", RUNS))] * 2,
           listed("Pod", pod(POD, phase, *states)))  # fmt: skip


def test_a_log_is_shown_to_its_end_and_the_job_has_succeeded(api, follow, heard):
    at_the_end(api, ended(0))
    api.on("GET", LOG, log(*lines(1, 2, 3)))
    follow()
    assert heard.lines == [("train", f"line {n}") for n in (1, 2, 3)]
    assert heard.told == []
    first = api.requests("GET", LOG)[0]
    assert first.query == {"container": "train", "follow": "True", "timestamps": "True"}


def test_a_stream_that_is_cut_goes_on_where_it_was_without_a_line_twice(api, follow, heard):
    at_the_end(api, ended(0))
    packets = lines(1, 2)
    half = lines(3)[0]
    api.on(
        "GET",
        LOG,
        log(*packets, half[:40], cut=True),  # in the middle of a line
        log(*lines(2, 3, 4)),
        refused(500, "InternalError", "the kubelet is away"),
        log(*lines(4, 5)),
    )
    follow()
    assert [line for _, line in heard.lines] == [f"line {n}" for n in (1, 2, 3, 4, 5)]
    again = [each.query for each in api.requests("GET", LOG)[1:]]
    assert all(10 <= int(query["sinceSeconds"]) < 60 for query in again)


def test_lines_of_one_moment_are_all_shown_once(api, follow, heard):
    at_the_end(api, ended(0))
    same = [f"2026-11-27T22:00:01.5Z {word}\n" for word in ("a", "b", "c")]
    api.on("GET", LOG, log(*same[:2], cut=True), log(*same))
    follow()
    assert [line for _, line in heard.lines] == ["a", "b", "c"]


def test_a_last_line_without_an_end_is_a_line(api, follow, heard):
    at_the_end(api, ended(0))
    api.on("GET", LOG, log(*lines(1), lines(2)[0].rstrip("\n")))
    follow()
    assert [line for _, line in heard.lines] == ["line 1", "line 2"]


def test_steps_are_followed_one_after_another(api, follow, heard):
    running = job(**RUNNING)
    api.on("GET", JOB, running, running, running, job(**COMPLETE))
    api.on(
        "GET",
        PODS,
        listed("Pod", pod(POD, "Pending", RUNS, waits("PodInitializing"))),
        listed("Pod", pod(POD, "Succeeded", ended(0), ended(0))),
    )
    api.on("GET", LOG, log(*lines(1)))
    follow()
    assert {container for container, _ in heard.lines} == {"step0", "train"}
    assert len(heard.lines) == 2


def test_changes_are_awaited_from_the_list_that_was_seen(api, follow):
    at_the_end(api, ended(0))
    api.on("GET", LOG, log(*lines(1)))
    seen = {"type": "MODIFIED", "object": pod(POD, "Succeeded", ended(0))}
    too_old = refused(410, "Expired", "too old resource version: 8812 (9127)").body
    api.on("WATCH", PODS, changes({"type": "ERROR", "object": too_old}), changes(seen))
    follow()
    watched = api.requests("WATCH", PODS)
    assert len(watched) >= 2
    assert watched[0].query["resourceVersion"] == "8812"
    assert watched[0].query["labelSelector"] == (
        f"batch.kubernetes.io/controller-uid={recorded.UID}"
    )


HOPELESS = {
    "POD_IMAGE_UNAVAILABLE": waits(
        "ImagePullBackOff", 'Back-off pulling image "lotwise-training:0.1.0"'
    ),
    "POD_CONFIG_INVALID": waits("CreateContainerConfigError", 'secret "lotwise-store" not found'),
    "POD_START_FAILED": waits("CreateContainerError", "failed to create containerd task"),
}


@pytest.mark.parametrize("reason", HOPELESS)
def test_a_pod_that_will_not_start_is_not_waited_for(reason, api, follow):
    waiting = HOPELESS[reason]
    api.on("GET", JOB, job(active=1, ready=0))
    api.on("GET", PODS, listed("Pod", pod(POD, "Pending", waiting)))
    with pytest.raises(ClusterError) as failed:
        follow()
    assert failed.value.reason == reason
    assert waiting["waiting"]["message"] in failed.value.message


def test_a_worker_that_will_not_start_does_not_keep_others_from_being_followed(api, follow, heard):
    other = pod("train-regressor-9qq4z", "Pending", HOPELESS["POD_IMAGE_UNAVAILABLE"])
    api.on("GET", JOB, *[job(**RUNNING)] * 3, job(**COMPLETE))
    api.on("GET", PODS, listed("Pod", other, pod(POD, "Running", RUNS)),
           listed("Pod", pod(POD, "Succeeded", ended(0))))  # fmt: skip
    api.on("GET", LOG, log(*lines(1)))
    follow()
    assert len(heard.lines) == 1
    assert "ImagePullBackOff" in heard.told[0]


def test_a_first_pull_that_failed_is_waited_for(api, follow, heard):
    api.on("GET", JOB, *[job(active=1)] * 3, job(**COMPLETE))
    api.on("GET", PODS, listed("Pod", pod(POD, "Pending", waits("ErrImagePull"))),
           listed("Pod", pod(POD, "Succeeded", ended(0))))  # fmt: skip
    api.on("GET", LOG, log(*lines(1)))
    follow()
    assert len(heard.lines) == 1


def test_a_pod_for_which_there_is_no_gpu_is_waited_for_as_long_as_asked(api, follow, heard):
    api.on("GET", JOB, job(active=1, ready=0))
    api.on("GET", PODS, listed("Pod", unschedulable()))
    with pytest.raises(ClusterError, match=r"3 Insufficient nvidia.com/gpu") as failed:
        follow(patience_s=1.0)
    assert failed.value.reason == "POD_UNSCHEDULABLE"
    assert len(heard.told) == 1  # once, however often it was looked at
    assert len(api.requests("GET", PODS)) > 1


def test_a_pod_that_finds_a_node_in_time_goes_on(api, follow, heard):
    api.on("GET", JOB, *[job(active=1)] * 3, job(**COMPLETE))
    api.on("GET", PODS, listed("Pod", unschedulable()),
           listed("Pod", pod(POD, "Succeeded", ended(0))))  # fmt: skip
    api.on("GET", LOG, log(*lines(1)))
    follow()
    assert "Insufficient nvidia.com/gpu" in heard.told[0]


def test_a_job_whose_pods_are_refused_says_why(api, follow, heard):
    said = 'pods "train-regressor-" is forbidden: violates PodSecurity "restricted:latest"'
    api.on("GET", JOB, job())
    api.on("GET", PODS, listed("Pod"))
    api.on("GET", EVENTS, listed("Event", warning("FailedCreate", said)))
    with pytest.raises(ClusterError) as failed:
        follow(patience_s=0.1)
    assert failed.value.reason == "POD_NOT_STARTED"
    assert said in failed.value.message
    assert heard.told == [f"FailedCreate: {said}"]


def test_a_job_in_a_queue_is_waited_for_without_end(api, follow, heard):
    waiting = job(suspend=True)
    api.on("GET", JOB, *[waiting] * 5, *[job(**RUNNING)] * 2, job(**COMPLETE))
    api.on("GET", PODS, *[listed("Pod")] * 4, listed("Pod", pod(POD, "Succeeded", ended(0))))
    api.on("GET", LOG, log(*lines(1)))
    follow(patience_s=0.05)
    assert heard.told == ["The job waits until its queue lets it in."]


BAD_ENDS = {
    "POD_OUT_OF_MEMORY": ([ended(137, "OOMKilled")], {}, "BackoffLimitExceeded"),
    "POD_EVICTED": (
        [ended(137)],
        {"reason": "Evicted", "message": "The node was low on resource: memory."},
        "BackoffLimitExceeded",
    ),
    "POD_START_FAILED": (
        [ended(128, "StartError", message='exec: "torchrun": not found in $PATH')],
        {},
        "BackoffLimitExceeded",
    ),
    "JOB_FAILED": ([ended(1)], {}, "BackoffLimitExceeded"),
    "JOB_DEADLINE_EXCEEDED": ([ended(143)], {}, "DeadlineExceeded"),
}


@pytest.mark.parametrize("reason", BAD_ENDS)
def test_a_job_that_ends_badly_says_how(reason, api, follow, heard):
    states, status, of_job = BAD_ENDS[reason]
    end = job(**recorded.failed(of_job, "Job has reached the specified backoff limit"))
    api.on("GET", JOB, job(**RUNNING), job(**RUNNING), end)
    api.on("GET", PODS, listed("Pod", pod(POD, "Running", RUNS)),
           listed("Pod", pod(POD, "Failed", *states, **status)))  # fmt: skip
    api.on("GET", LOG, log(*lines(1)))
    with pytest.raises(ClusterError) as failed:
        follow()
    assert failed.value.reason == reason
    assert [line for _, line in heard.lines] == ["line 1"]  # what it said before is shown
    assert POD in " ".join(heard.told)


def test_a_pod_that_a_node_gave_up_is_told_and_the_next_one_followed(api, follow, heard):
    drained = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
        "lastTransitionTime": recorded.CREATED,
    }
    gone = pod(POD, "Failed", ended(143), conditions=[drained])
    other = pod("train-regressor-9qq4z", "Succeeded", ended(0))
    api.on("GET", JOB, *[job(**RUNNING)] * 3, job(**COMPLETE))
    api.on("GET", PODS, listed("Pod", gone), listed("Pod", gone, other))
    api.on("GET", LOG, log(*lines(1)))
    api.on("GET", f"{PODS}/train-regressor-9qq4z/log", log(*lines(2)))
    follow()
    assert sorted(line for _, line in heard.lines) == ["line 1", "line 2"]
    assert heard.told == [f"Pod {POD}: EvictionByEvictionAPI: Eviction API: evicting"]


def test_a_job_that_somebody_removes_is_not_waited_for(api, follow):
    api.on("GET", JOB, *[job(**RUNNING)] * 2,
           refused(404, "NotFound", f'jobs.batch "{NAME}" not found', kind="jobs"))  # fmt: skip
    api.on("GET", PODS, listed("Pod"))
    with pytest.raises(ClusterError) as failed:
        follow()
    assert failed.value.reason == "JOB_DELETED"


def test_a_job_that_has_the_name_of_another_is_not_taken_for_it(api, follow):
    api.on("GET", JOB, job(**RUNNING), job(uid="6b1f", **RUNNING))
    with pytest.raises(ClusterError) as failed:
        follow()
    assert failed.value.reason == "JOB_DELETED"


def test_a_cluster_that_is_away_for_a_moment_is_waited_for(api, follow, heard):
    away = refused(503, "ServiceUnavailable", "etcdserver: leader changed")
    api.on("GET", JOB, job(**RUNNING), away, away, job(**RUNNING), job(**COMPLETE))
    api.on("GET", PODS, listed("Pod", pod(POD, "Succeeded", ended(0))))
    api.on("GET", LOG, log(*lines(1)))
    follow()
    assert len(heard.told) == 1
    assert "leader changed" in heard.told[0]


def test_logs_that_may_not_be_read_end_the_following(api, follow):
    api.on("GET", JOB, job(**RUNNING))
    api.on("GET", PODS, listed("Pod", pod(POD, "Running", RUNS)))
    api.on("GET", LOG, refused(403, "Forbidden", 'cannot get resource "pods/log"', kind="pods"))
    started = time.monotonic()
    with pytest.raises(ClusterError, match="pods/log") as failed:
        follow()
    assert failed.value.reason == "CLUSTER_FORBIDDEN"
    assert time.monotonic() - started < 30.0
