"""What the objects of a cluster say of a job: how far it is, and why it does not go on.

Jobs, pods and events are JSON as the API gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from lotwise.cluster.errors import ClusterError, JobFailed

Object = Mapping[str, Any]
State = Literal["queued", "pending", "running", "succeeded", "failed"]

IMAGE_REASONS: Final = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
CONFIG_REASONS: Final = ("CreateContainerConfigError",)
START_REASONS: Final = ("CreateContainerError", "RunContainerError")
FAILED_START: Final = ("StartError", "ContainerCannotRun")
"""Reasons of a container that ended without having begun."""


def state(job: Object) -> State:
    """How far a job is; "queued" is one that its queue has not let in."""
    ended = condition(job, "Complete", "Failed")
    if ended is not None:
        return "succeeded" if ended["type"] == "Complete" else "failed"
    if job["spec"].get("suspend"):
        return "queued"
    return "running" if job.get("status", {}).get("ready") else "pending"


def condition(thing: Object, *kinds: str) -> Object | None:
    """The condition of one of these kinds that is true."""
    for each in thing.get("status", {}).get("conditions") or ():
        if each["type"] in kinds and each["status"] == "True":
            found: Object = each
            return found
    return None


def containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """Name and state of each container of a pod, in the order in which they run."""
    status = pod.get("status", {})
    for kind in ("initContainerStatuses", "containerStatuses"):
        for each in status.get(kind) or ():
            yield each["name"], each.get("state") or {}


def is_over(pod: Object) -> bool:
    """Whether nothing of a pod will run any more."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def is_running(pod: Object) -> bool:
    """Whether a container of a pod runs."""
    return any("running" in now for _, now in containers(pod))


def hopeless(pod: Object) -> ClusterError | None:
    """Why a pod will not start however long one waits; None where it may."""
    name = pod["metadata"]["name"]
    for container, now in containers(pod):
        waiting = now.get("waiting") or {}
        reason, said = waiting.get("reason", ""), waiting.get("message", "")
        if reason in IMAGE_REASONS:
            return JobFailed(
                "POD_IMAGE_UNAVAILABLE",
                f"Pod {name}, {container}: {reason}: {said} Is the image named rightly (--image), "
                "and may the cluster pull it (--pull-secret)?",
            )
        if reason in CONFIG_REASONS:
            return JobFailed(
                "POD_CONFIG_INVALID",
                f"Pod {name}, {container}: {reason}: {said}. Create what is missing; the pod then "
                "starts by itself.",
            )
        if reason in START_REASONS:
            return JobFailed("POD_START_FAILED", f"Pod {name}, {container}: {reason}: {said}")
    return None


def unschedulable(pod: Object) -> ClusterError | None:
    """Why no node takes a pod; None where one does, or where the scheduler has not looked yet."""
    for each in pod.get("status", {}).get("conditions") or ():
        if each["type"] == "PodScheduled" and each.get("reason") == "Unschedulable":
            return JobFailed(
                "POD_UNSCHEDULABLE",
                f"No node takes pod {pod['metadata']['name']}: {each.get('message', '')} It starts "
                "once a node has what it asks for (--gpus, --gpu-resource, --cpu, --memory, "
                "--node-selector, --toleration, claims).",
            )
    return None


def ended_badly(pod: Object) -> JobFailed | None:
    """Why a pod that is over failed; None where it did not."""
    status, name = pod.get("status", {}), pod["metadata"]["name"]
    if status.get("phase") != "Failed":
        return None
    if status.get("reason") == "Evicted":
        return JobFailed("POD_EVICTED", f"Pod {name} was evicted: {status.get('message', '')}")
    disrupted = condition(pod, "DisruptionTarget")
    if disrupted is not None:
        said = disrupted.get("message", "")
        return JobFailed("POD_EVICTED", f"Pod {name}: {disrupted.get('reason')}: {said}")
    for container, now in containers(pod):
        ended = now.get("terminated") or {}
        reason, said = ended.get("reason", ""), ended.get("message", "")
        if reason == "OOMKilled":
            return JobFailed(
                "POD_OUT_OF_MEMORY",
                f"Pod {name}, {container}: it took more memory than it was given (OOMKilled). "
                "Give it more: --memory.",
            )
        if reason in FAILED_START:
            return JobFailed("POD_START_FAILED", f"Pod {name}, {container}: {reason}: {said}")
        if ended.get("exitCode"):
            code = ended["exitCode"]
            return JobFailed("JOB_FAILED", f"Pod {name}, {container} ended with exit code {code}.")
    return JobFailed("JOB_FAILED", f"Pod {name} failed: {status.get('message', 'no reason given')}")


def failure(job: Object, pods: Sequence[Object]) -> JobFailed:
    """Why a job that has failed did."""
    name = job["metadata"]["name"]
    ended = condition(job, "Failed") or {}
    if ended.get("reason") == "DeadlineExceeded":
        limit = job["spec"].get("activeDeadlineSeconds")
        return JobFailed(
            "JOB_DEADLINE_EXCEEDED",
            f"Job {name} did not end within {limit} s. Begin it anew with a longer --deadline: a "
            "training goes on from its checkpoints.",
        )
    # The last try's: what it said, people will look for.
    tried = sorted(pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")
    for pod in reversed(tried):
        if (error := ended_badly(pod)) is not None:
            return error
    return JobFailed(
        "JOB_FAILED",
        f"Job {name} failed ({ended.get('reason', '')}): {ended.get('message', '')}",
    )
