"""Calls of a cluster's API; what it refuses becomes an error with a reason."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

from kubernetes import client, config, watch
from urllib3.exceptions import HTTPError

from lotwise.cluster.errors import ClusterError
from lotwise.cluster.manifests import MANAGED_BY, MANAGER, Manifest
from lotwise.cluster.state import Object

TIMEOUT_S: Final = (10.0, 30.0)
"""To connect, and between two packets of an answer."""
QUIET_S: Final = 60.0
"""A log that says nothing for so long is asked for anew: its connection may be dead."""


class LogCut(Exception):
    """The stream of a log broke off; there may be more of it."""


class LogNotReady(Exception):
    """A container has no log yet."""


class Cluster:
    """A namespace of a cluster.

    Args:
        namespace: The namespace.
        context: Of the kubeconfig; None for its current one.

    Raises:
        ClusterError: CLUSTER_UNCONFIGURED: there is no kubeconfig, or not this context in it.
            CLUSTER_UNREACHABLE, CLUSTER_UNAUTHENTICATED, CLUSTER_FORBIDDEN, CLUSTER_REFUSED: every
            call may raise these.
    """

    def __init__(self, namespace: str, context: str | None = None) -> None:
        self.namespace = namespace
        settings = client.Configuration()
        try:
            config.load_kube_config(context=context, client_configuration=settings)
        except config.ConfigException as error:
            raise ClusterError(
                "CLUSTER_UNCONFIGURED",
                f"There is no cluster to ask: {error} Name a kubeconfig with KUBECONFIG, and one "
                "of its contexts with --context.",
            ) from None
        settings.retries = False  # followers try again, all others say what is wrong
        settings.connection_pool_maxsize = 64  # a log of each pod is open all the time
        self._client = client.ApiClient(settings)
        self._batch = client.BatchV1Api(self._client)
        self._core = client.CoreV1Api(self._client)

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Object:
        """Create a job; as the cluster has it.

        Args:
            manifest: The job.
            dry_run: Whether the cluster shall only look whether it would take it.

        Raises:
            ClusterError: JOB_EXISTS, JOB_INVALID, CLUSTER_NAMESPACE_UNKNOWN.
        """
        more = {"dry_run": "All"} if dry_run else {}
        with self._calls(manifest["metadata"]["name"]):
            created: Object = self._plain(
                self._batch.create_namespaced_job(
                    self.namespace,
                    manifest,
                    field_validation="Strict",
                    _request_timeout=TIMEOUT_S,
                    **more,
                )
            )
        return created

    def jobs(self) -> list[Object]:
        """The jobs that Lotwise has created here, the newest last."""
        with self._calls():
            listed = self._plain(
                self._batch.list_namespaced_job(
                    self.namespace,
                    label_selector=f"{MANAGED_BY}={MANAGER}",
                    _request_timeout=TIMEOUT_S,
                )
            )
        return sorted(listed["items"], key=lambda job: job["metadata"]["creationTimestamp"])

    def job(self, name: str) -> Object:
        """A job that Lotwise has created.

        Raises:
            ClusterError: JOB_UNKNOWN, JOB_FOREIGN.
        """
        with self._calls(name):
            job: Object = self._plain(
                self._batch.read_namespaced_job(name, self.namespace, _request_timeout=TIMEOUT_S)
            )
        if (job["metadata"].get("labels") or {}).get(MANAGED_BY) != MANAGER:
            raise ClusterError(
                "JOB_FOREIGN", f"`lotwise cluster` did not create job {name}; it stays as it is."
            )
        return job

    def cancel(self, name: str) -> None:
        """End a job and remove it; it stays until its last pod has gone.

        Raises:
            ClusterError: JOB_UNKNOWN, JOB_FOREIGN, JOB_EXISTS: it became another one meanwhile.
        """
        uid = self.job(name)["metadata"]["uid"]
        # In the foreground: a job of the same name must not begin while old pods still write.
        options = client.V1DeleteOptions(
            propagation_policy="Foreground", preconditions=client.V1Preconditions(uid=uid)
        )
        with self._calls(name):
            self._batch.delete_namespaced_job(
                name, self.namespace, body=options, _request_timeout=TIMEOUT_S
            )

    def pods(self, job: Object) -> tuple[list[Object], str]:
        """The pods of a job, the oldest first, and the version from which changes are awaited."""
        with self._calls():
            listed = self._plain(
                self._core.list_namespaced_pod(
                    self.namespace, label_selector=_of(job), _request_timeout=TIMEOUT_S
                )
            )
        pods = sorted(
            listed["items"], key=lambda pod: pod["metadata"].get("creationTimestamp") or ""
        )
        return pods, listed["metadata"].get("resourceVersion") or ""

    def wait_for_change(self, job: Object, version: str, seconds: float) -> None:
        """Wait until a pod of a job is another than in the list of this version, or for a while."""
        try:
            changes = watch.Watch().stream(
                self._core.list_namespaced_pod,
                self.namespace,
                label_selector=_of(job),
                resource_version=version,
                timeout_seconds=max(1, round(seconds)),
                _request_timeout=(TIMEOUT_S[0], seconds + TIMEOUT_S[1]),
            )
            next(iter(changes), None)
            changes.close()
        except (client.ApiException, HTTPError):
            # The version is too old, or changes may not be watched: the next list will tell.
            time.sleep(1.0)

    def warnings(self, name: str) -> list[str]:
        """What the cluster warns of a job or a pod, the newest last; none where that is secret."""
        try:
            listed = self._plain(
                self._core.list_namespaced_event(
                    self.namespace,
                    field_selector=f"involvedObject.name={name},type=Warning",
                    _request_timeout=TIMEOUT_S,
                )
            )
        except (client.ApiException, HTTPError):
            return []
        events = sorted(listed["items"], key=lambda event: event.get("lastTimestamp") or "")
        return [f"{event.get('reason')}: {event.get('message')}" for event in events]

    def log(
        self,
        pod: str,
        container: str,
        *,
        follow: bool,
        since_s: int | None = None,
        ended: bool = True,
    ) -> Iterator[tuple[str, str]]:
        """Lines of a container's log, each with the time at which it was written.

        Args:
            pod: Its name.
            container: Of the pod.
            follow: Whether to wait for further lines until the container ends.
            since_s: Only lines of the last so many seconds.
            ended: Whether the container has ended, so that the last line may lack its end.

        Raises:
            LogCut: The stream broke off.
            LogNotReady: The container has not begun.
            ClusterError: JOB_UNKNOWN: the pod is gone.
        """
        more = {} if since_s is None else {"since_seconds": since_s}
        with self._calls(pod):
            try:
                response = self._core.read_namespaced_pod_log(
                    pod,
                    self.namespace,
                    container=container,
                    follow=follow,
                    timestamps=True,
                    _preload_content=False,
                    _request_timeout=(TIMEOUT_S[0], QUIET_S),
                    **more,
                )
            except client.ApiException as error:
                if error.status == 400:
                    raise LogNotReady from None
                raise
        rest = b""
        try:
            for chunk in response.stream(2**16):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _line(line)
        except (HTTPError, OSError) as error:
            raise LogCut from error  # what is there of a line will come again as a whole
        finally:
            response.close()
        if rest and ended:
            yield _line(rest)

    def _plain(self, thing: Any) -> Any:
        """As the API's JSON."""
        return self._client.sanitize_for_serialization(thing)

    @contextmanager
    def _calls(self, name: str = "") -> Iterator[None]:
        """Says what the cluster refused, and why."""
        try:
            yield
        except client.ApiException as error:
            raise _refusal(error, name, self.namespace) from None
        except HTTPError as error:
            raise ClusterError(
                "CLUSTER_UNREACHABLE",
                f"{self._client.configuration.host} does not answer ({error}). Is the cluster up, "
                "and is it the right --context?",
            ) from None


def _of(job: Object) -> str:
    """Selects the pods of a job, of none that had its name before."""
    return f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"


def _line(line: bytes) -> tuple[str, str]:
    at, _, text = line.decode(errors="replace").partition(" ")
    return at, text


def _refusal(error: client.ApiException, name: str, namespace: str) -> ClusterError:
    """The error that a refusal of the API's becomes; its body is a Status of meta/v1."""
    try:
        status = cast("dict[str, Any]", json.loads(error.body))
        said = str(status.get("message"))
    except (TypeError, ValueError):
        status, said = {}, str(error.reason)
    details = status.get("details") or {}
    match error.status:
        case 401:
            return ClusterError(
                "CLUSTER_UNAUTHENTICATED", f"The cluster does not know you: {said}. Log in anew."
            )
        case 403:
            return ClusterError(
                "CLUSTER_FORBIDDEN",
                f"The cluster does not permit it: {said}. Ask its operator for the role that "
                "docs/cluster-jobs.md lists, or for the quota.",
            )
        case 404 if details.get("kind") == "namespaces":
            return ClusterError(
                "CLUSTER_NAMESPACE_UNKNOWN",
                f"There is no namespace {namespace}; name one with --namespace.",
            )
        case 404 if name:
            return ClusterError(
                "JOB_UNKNOWN",
                f"There is no {name} in namespace {namespace}. `lotwise cluster jobs` lists all "
                "jobs; one that ended is removed after a while.",
            )
        case 409 if name:
            return ClusterError(
                "JOB_EXISTS",
                f"{said}. Follow it with `lotwise cluster logs {name} --follow`, remove it with "
                f"`lotwise cluster cancel {name}`, or choose another --name.",
            )
        case 422 | 400:
            return ClusterError("JOB_INVALID", f"The cluster refuses the job: {said}")
    return ClusterError("CLUSTER_REFUSED", f"The cluster answered {error.status}: {said}")
