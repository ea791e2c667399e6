"""Follows a job to its end: its logs, what it waits for, and what becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lotwise.cluster.connection import Cluster, LogCut, LogNotReady
from lotwise.cluster.errors import ClusterError, JobFailed
from lotwise.cluster.state import (
    Object,
    containers,
    ended_badly,
    failure,
    hopeless,
    is_over,
    is_running,
    state,
    unschedulable,
)

SLACK_S: Final = 10
"""A log is asked for anew from so long before its last line; what was shown is left out."""
WATCH_S: Final = 10.0
UNREACHABLE_TRIES: Final = 6
"""Pauses double from one second: about a minute."""
LAST_LINES_S: Final = 60.0
"""Time for the ends of the logs once a job has ended."""

Show = Callable[[str, str, str], None]
"""Takes the names of pod and container and a line of the log; called by several threads."""

PASSING: Final = ("CLUSTER_UNREACHABLE", "CLUSTER_REFUSED")
"""Reasons of errors that may be gone in a moment."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Follower:
    """Follows jobs.

    Attributes:
        cluster: Of the jobs.
        tell: Takes what a job waits for, each once.
        show: Takes the logs; None to follow without them.
        patience_s: How long a job may wait for a node, or for whatever its pods lack. Waiting in a
            queue does not count.
        pause_s: Between two looks at the cluster, at least.
    """

    cluster: Cluster
    tell: Callable[[str], None]
    show: Show | None
    patience_s: float
    pause_s: float = 0.5

    def follow(self, name: str) -> None:
        """Return once the job has succeeded.

        Args:
            name: Of the job.

        Raises:
            ClusterError: POD_IMAGE_UNAVAILABLE, POD_CONFIG_INVALID, POD_START_FAILED: a pod cannot
                start; the job stays. POD_UNSCHEDULABLE, POD_NOT_STARTED: nothing has started in
                `patience_s`; the job stays. POD_OUT_OF_MEMORY, POD_EVICTED, JOB_FAILED,
                JOB_DEADLINE_EXCEEDED, JOB_DELETED: how the job has ended. As `Cluster`.
        """
        _Following(self, self.cluster.job(name)).to_the_end()


@dataclass
class _Following:
    """One job that is followed."""

    by: Follower
    job: Object
    logs: dict[tuple[str, str], _Log] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    waiting_since: float = field(default_factory=time.monotonic)

    def to_the_end(self) -> None:
        cluster = self.by.cluster
        while True:
            self.job = self._again(lambda: self._same(cluster.job(self.job["metadata"]["name"])))
            pods, version = self._again(lambda: cluster.pods(self.job))
            self._look(pods)
            now = state(self.job)
            if now in ("succeeded", "failed"):
                self._finish_logs()
                if now == "failed":
                    raise failure(self.job, pods)
                return
            if now == "queued":
                self._tell("The job waits until its queue lets it in.")
                self.waiting_since = time.monotonic()
            else:
                self._check_patience(pods)
            time.sleep(self.by.pause_s)
            # Once all pods are over, what changes next is the job.
            active = not pods or any(not is_over(pod) for pod in pods)
            cluster.wait_for_change(self.job, version, WATCH_S if active else 1.0)

    def _look(self, pods: Sequence[Object]) -> None:
        """Begin to read the logs that there are; say what is wrong."""
        here = {pod["metadata"]["name"]: dict(containers(pod)) for pod in pods}
        for (name, container), log in self.logs.items():
            if "running" not in here.get(name, {}).get(container, {}):
                log.ended.set()
        others_run = any(is_running(pod) for pod in pods)
        for pod in pods:
            if failed := ended_badly(pod):
                self._tell(failed.message)
            elif not is_over(pod) and (error := hopeless(pod)):
                if not others_run:
                    raise error
                self._tell(error.message)
            for container, now in containers(pod):
                key = (pod["metadata"]["name"], container)
                begun = "running" in now or (now.get("terminated") or {}).get("startedAt")
                if self.by.show is not None and begun and key not in self.logs:
                    self.logs[key] = _Log(self.by.cluster, *key, self.by.show, self.by.pause_s)
                    if "terminated" in now:
                        self.logs[key].ended.set()
                    self.logs[key].start()
        for log in self.logs.values():
            if log.failure is not None:
                raise log.failure

    def _check_patience(self, pods: Sequence[Object]) -> None:
        """Say what a job waits for; raise when that has taken too long."""
        waiting = [pod for pod in pods if not is_over(pod) and not is_running(pod)]
        # Between two tries of a job there is no pod for a while, and nothing is wrong.
        if any(is_running(pod) for pod in pods) or (pods and not waiting):
            self.waiting_since = time.monotonic()
            return
        lacking = [error for pod in waiting if (error := unschedulable(pod)) is not None]
        warned: list[str] = []
        for name in [self.job["metadata"]["name"], *(pod["metadata"]["name"] for pod in waiting)]:
            warned += self.by.cluster.warnings(name)
        for text in [*(error.message for error in lacking), *warned]:
            self._tell(text)
        if time.monotonic() - self.waiting_since < self.by.patience_s:
            return
        if lacking:
            raise lacking[0]
        why = warned[-1] if warned else "The cluster does not say why."
        raise JobFailed(
            "POD_NOT_STARTED",
            f"Nothing of job {self.job['metadata']['name']} has started in "
            f"{self.by.patience_s:.0f} s. {why}",
        )

    def _finish_logs(self) -> None:
        until = time.monotonic() + LAST_LINES_S
        for log in self.logs.values():
            log.ended.set()
            log.join(max(0.0, until - time.monotonic()))
            if log.is_alive() or log.failure is not None:
                self._tell(f"The log of {log.pod}, {log.container} may lack its end.")

    def _tell(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.by.tell(text)

    def _same(self, job: Object) -> Object:
        if job["metadata"]["uid"] != self.job["metadata"]["uid"]:
            raise self._deleted()
        return job

    def _deleted(self) -> JobFailed:
        name = self.job["metadata"]["name"]
        return JobFailed("JOB_DELETED", f"Somebody has removed job {name}.")

    def _again(self, call: Callable[[], Answer]) -> Answer:
        """What a call gives, tried again while the cluster is away: the job goes on without us."""
        for number in range(UNREACHABLE_TRIES):
            try:
                return call()
            except ClusterError as error:
                if error.reason == "JOB_UNKNOWN":
                    raise self._deleted() from None
                if error.reason not in PASSING:
                    raise
                self._tell(f"{error.message} Trying again.")
                time.sleep(self.by.pause_s * 2**number)
        return call()


class _Log(threading.Thread):
    """Shows the log of one container to its end, however often the stream breaks off."""

    def __init__(
        self, cluster: Cluster, pod: str, container: str, show: Show, pause_s: float
    ) -> None:
        super().__init__(daemon=True)  # Ctrl-C does not wait for it
        self.pod, self.container = pod, container
        self.ended = threading.Event()
        self.failure: ClusterError | None = None
        self._cluster, self._show, self._pause_s = cluster, show, pause_s
        self._last = ""
        self._at_last = 0
        self._received = time.monotonic()

    def run(self) -> None:
        """Read until the container has ended and its log was read once more after that."""
        missed = 0
        while missed < UNREACHABLE_TRIES:
            ended, before = self.ended.is_set(), self._received
            try:
                self._read(ended)
                if ended:
                    return
            except (LogCut, LogNotReady):
                missed += ended
            except ClusterError as error:
                if error.reason == "JOB_UNKNOWN":  # the pod is gone, and its log with it
                    return
                if error.reason not in PASSING:
                    self.failure = error
                    return
                missed += 1
            if self._received > before:
                missed = 0
            self.ended.wait(self._pause_s * 2)
        self.failure = ClusterError(
            "CLUSTER_UNREACHABLE", f"The log of {self.pod}, {self.container} cannot be read."
        )

    def _read(self, ended: bool) -> None:
        # Our own clock alone: that of the node may be another.
        since = round(time.monotonic() - self._received) + SLACK_S if self._last else None
        repeated = self._at_last
        lines = self._cluster.log(
            self.pod, self.container, follow=not ended, since_s=since, ended=ended
        )
        for at, text in lines:
            time_written = _comparable(at)
            if time_written < self._last:
                continue
            if time_written == self._last:
                if repeated:
                    repeated -= 1
                    continue
                self._at_last += 1
            else:
                self._last, self._at_last, repeated = time_written, 1, 0
            self._received = time.monotonic()
            self._show(self.pod, self.container, text)


def _comparable(at: str) -> str:
    """An RFC 3339 time in UTC whose order is that of its characters: all nine digits."""
    seconds, _, fraction = at.rstrip("Z").partition(".")
    return f"{seconds}.{fraction:0<9}"
