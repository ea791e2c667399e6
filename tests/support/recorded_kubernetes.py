"""An API server of Kubernetes that plays recorded exchanges to the real client.

The exchanges were written from the API's reference (v1.30 and newer), not captured from a cluster;
tests/cluster/test_recorded.py validates every object against the API's schemas.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

NAMESPACE = "lotwise"
NAME = "train-regressor"
UID = "5f2c1f0e-8f0b-4a52-9a86-0d2f6a3f7c11"
POD = "train-regressor-x7k2p"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
CREATED = "2026-11-27T22:00:00Z"
LABELS = {
    "app.kubernetes.io/name": "lotwise-training",
    "app.kubernetes.io/component": "training",
    "app.kubernetes.io/part-of": "lotwise",
    "app.kubernetes.io/managed-by": "lotwise-cluster",
}
POD_LABELS = {
    **LABELS,
    "batch.kubernetes.io/controller-uid": UID,
    "batch.kubernetes.io/job-name": NAME,
    "controller-uid": UID,
    "job-name": NAME,
}
IMAGE = "lotwise-training:0.1.0"


@dataclass(frozen=True)
class Answer:
    """What the server says once: JSON, or a stream that ends or is cut."""

    status: int = 200
    body: Any = None
    stream: tuple[bytes, ...] | None = None
    cut: bool = False
    hold_s: float = 0.0


def log(*lines: str, cut: bool = False, hold_s: float = 0.0) -> Answer:
    """Lines of a log, a packet each."""
    return Answer(stream=tuple(line.encode() for line in lines), cut=cut, hold_s=hold_s)


def changes(*events: dict[str, Any], hold_s: float = 0.05) -> Answer:
    """A watch that says this and ends when its time is over."""
    return Answer(stream=tuple(json.dumps(each).encode() + b"\n" for each in events), hold_s=hold_s)


def refused(code: int, reason: str, message: str, **details: Any) -> Answer:
    """A Status, as the API refuses."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    }
    return Answer(code, body)


def listed(kind: str, *items: dict[str, Any], version: str = "8812") -> Answer:
    """A list of objects."""
    api = "batch/v1" if kind == "Job" else "v1"
    return Answer(
        body={
            "kind": f"{kind}List",
            "apiVersion": api,
            "metadata": {"resourceVersion": version},
            "items": list(items),
        }
    )


def job(
    name: str = NAME, uid: str = UID, *, suspend: bool = False, **status: Any
) -> dict[str, Any]:
    """A job of Lotwise's with this status."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": uid,
            "resourceVersion": "8801",
            "generation": 1,
            "creationTimestamp": CREATED,
            "labels": LABELS,
        },
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "completionMode": "NonIndexed",
            "backoffLimit": 3,
            "activeDeadlineSeconds": 600,
            "suspend": suspend,
            "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
            "template": {
                "metadata": {"labels": POD_LABELS},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "train", "image": IMAGE}],
                },
            },
        },
        "status": {"startTime": CREATED, **status},
    }


RUNNING = {"active": 1, "ready": 1, "terminating": 0, "uncountedTerminatedPods": {}}
COMPLETE = {
    "succeeded": 1,
    "completionTime": "2026-11-27T22:05:00Z",
    "conditions": [
        {"type": kind, "status": "True", "lastTransitionTime": CREATED, "reason": reason,
         "message": "Reached expected number of succeeded pods"}
        for kind, reason in (("SuccessCriteriaMet", "CompletionsReached"),
                             ("Complete", "CompletionsReached"))
    ],
}  # fmt: skip


def failed(reason: str, message: str) -> dict[str, Any]:
    """Status of a job that has failed."""
    stated = {"lastTransitionTime": CREATED, "reason": reason, "message": message}
    return {
        "failed": 1,
        "conditions": [
            {"type": "FailureTarget", "status": "True", **stated},
            {"type": "Failed", "status": "True", **stated},
        ],
    }


def pod(
    name: str = POD, phase: str = "Running", *states: dict[str, Any], **status: Any
) -> dict[str, Any]:
    """A pod of the job; its containers are in these states, the last one is "train"."""
    containers = [
        {
            "name": "train" if number == len(states) - 1 else f"step{number}",
            "image": IMAGE,
            "imageID": "",
            "ready": "running" in each,
            "restartCount": 0,
            "state": each,
        }
        for number, each in enumerate(states)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-of-{name}",
            "creationTimestamp": CREATED,
            "labels": POD_LABELS,
        },
        "spec": {"restartPolicy": "Never", "containers": [{"name": "train", "image": IMAGE}]},
        "status": {
            "phase": phase,
            "initContainerStatuses": containers[:-1],
            "containerStatuses": containers[-1:],
            **status,
        },
    }


RUNS = {"running": {"startedAt": CREATED}}


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    """State of a container that has ended."""
    reason = reason or ("Error" if code else "Completed")
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": CREATED,
            "finishedAt": "2026-11-27T22:04:00Z",
            **more,
        }
    }


def waits(reason: str, message: str = "") -> dict[str, Any]:
    """State of a container that has not begun."""
    return {"waiting": {"reason": reason, "message": message}}


NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."  # noqa: E501


def unschedulable(message: str = NO_GPU) -> dict[str, Any]:
    """A pod that no node takes."""
    return pod(
        POD,
        "Pending",
        conditions=[
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": CREATED,
            }
        ],
    )


def warning(reason: str, message: str) -> dict[str, Any]:
    """An event that warns of the job."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{NAME}.17f2", "namespace": NAMESPACE},
        "involvedObject": {"kind": "Job", "namespace": NAMESPACE, "name": NAME, "uid": UID},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "lastTimestamp": CREATED,
    }


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


class RecordedApi:
    """Plays, for each kind of request, its answers in turn; the last one again and again."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.asked: list[Asked] = []
        self.unexpected: list[str] = []
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.on("WATCH", PODS, changes())
        self.on("GET", EVENTS, listed("Event"))

    def on(self, method: str, path: str, *answers: Answer | dict[str, Any]) -> None:
        """Answers to a method ("WATCH" for GETs that watch) of a path."""
        made = [each if isinstance(each, Answer) else Answer(body=each) for each in answers]
        self._answers[f"{method} {path}"] = made

    def requests(self, method: str, path: str) -> list[Asked]:
        """What was asked so."""
        return [each for each in self.asked if (each.method, each.path) == (method, path)]

    def answer(self, asked: Asked) -> Answer:
        """The next answer."""
        with self._lock:
            self.asked.append(asked)
            answers = self._answers.get(f"{asked.method} {asked.path}")
            if answers is None:
                self.unexpected.append(f"{asked.method} {asked.path}")
                return refused(404, "NotFound", "the server could not find the resource")
            return answers.pop(0) if len(answers) > 1 else answers[0]


def _handler(api: list[RecordedApi]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def _play(self):
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            method = "WATCH" if query.get("watch") == "True" else self.command
            answer = api[0].answer(Asked(method, parts.path, query, body))
            if answer.stream is None:
                content = json.dumps(answer.body).encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in answer.stream:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            time.sleep(answer.hold_s)
            if answer.cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_DELETE = _play

    return Handler


@contextmanager
def recorded_api():
    """A server that plays what is put into it."""
    api: list[RecordedApi] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    api.append(RecordedApi(server.server_port))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api[0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(url: str) -> str:
    """A kubeconfig with this cluster alone."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "laboratory",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": {"token": "a-token"}}],
            "contexts": [{"name": "laboratory", "context": {"cluster": "c", "user": "u"}}],
        }
    )
