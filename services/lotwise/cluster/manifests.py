"""Jobs as Kubernetes takes them: plain JSON, made without a cluster.

Every pod is one that the pod security standard "restricted" admits: no root, no capability, a root
file system that nobody writes to, and no token of the cluster's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lotwise.core.errors import InvalidRequest

Manifest = dict[str, Any]
"""An object of Kubernetes as JSON."""

USER: Final = 10001
"""Of the images."""
MANAGER: Final = "lotwise-cluster"
"""What says that a job is one of ours."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
COMPONENT: Final = "app.kubernetes.io/component"
QUEUE: Final = "kueue.x-k8s.io/queue-name"
USAGE_ERROR: Final = 2
"""Exit code of a command line that nobody can carry out; trying again does not help."""
NAME_MAX: Final = 63


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a job runs and what it may take.

    Attributes:
        namespace: Of the job.
        image: Of its containers.
        cpu, memory: Of each pod, as Kubernetes writes quantities: "4", "500m", "16Gi".
        gpus: Of each pod.
        gpu_resource: What a GPU is called there: "nvidia.com/gpu", or a slice such as
            "nvidia.com/mig-1g.10gb".
        queue: Kueue's local queue, which starts the job when there is room for it; "" for none.
        priority_class: "" for none.
        node_selector: Labels that a node must have.
        tolerations: `parse_toleration`.
        service_account: Of the pods, which get no token of it.
        pull_secret: With which the image is pulled; "" for none.
        deadline_s: After which the job is ended, its retries included; None for never.
        retries: Pods that may fail before the job does.
        keep_s: How long a job that ended is kept, with its logs.
    """

    namespace: str
    image: str
    cpu: str
    memory: str
    gpus: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    queue: str = ""
    priority_class: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, str]] = ()
    service_account: str = "lotwise"
    pull_secret: str = ""
    deadline_s: int | None = None
    retries: int = 3
    keep_s: int = 7 * 86400


@dataclass(frozen=True)
class Mount:
    """A persistent volume claim in a pod.

    Attributes:
        name: Of the volume in the pod.
        claim: Of the claim; "" for an empty folder that ends with the pod.
        path: Where the pod has it.
        read_only: Whether it may only be read.
    """

    name: str
    claim: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Step:
    """A command of a job; the steps of a job run one after another.

    Attributes:
        name: Of its container.
        command: Program and arguments.
    """

    name: str
    command: Sequence[str]


def job_manifest(
    name: str,
    component: str,
    steps: Sequence[Step],
    mounts: Sequence[Mount],
    placement: Placement,
    *,
    env: Sequence[Manifest] = (),
    workers: int = 1,
    working_dir: str | None = None,
) -> Manifest:
    """A job of batch/v1.

    Args:
        name: Of the job.
        component: "training" or "screening".
        steps: All but the last are init containers; each begins when the one before has succeeded.
        mounts: In every container.
        placement: Where it runs.
        env: Variables of every container, as Kubernetes writes them.
        workers: Pods side by side, which share the work among themselves: the job has succeeded
            when one of them has and none is left.
        working_dir: Of the commands; None for the image's.

    Raises:
        InvalidRequest: JOB_OPTIONS_INVALID: The name is none that Kubernetes takes.
    """
    _check_name(name)
    labels = {
        "app.kubernetes.io/name": f"lotwise-{component}",
        COMPONENT: component,
        "app.kubernetes.io/part-of": "lotwise",
        MANAGED_BY: MANAGER,
    }
    queue = {QUEUE: placement.queue} if placement.queue else {}
    volumes = [_volume(mount) for mount in mounts]
    volumes.append({"name": "tmp", "emptyDir": {}})
    mounted = [
        {"name": mount.name, "mountPath": mount.path, "readOnly": mount.read_only}
        for mount in mounts
    ]
    mounted.append({"name": "tmp", "mountPath": "/tmp"})
    if placement.gpus > 1:
        # NCCL passes gradients through it; containers have 64 MiB, too little.
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}})
        mounted.append({"name": "shm", "mountPath": "/dev/shm"})
    containers = [
        _container(step, placement, env=env, mounts=mounted, working_dir=working_dir)
        for step in steps
    ]
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": placement.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # else every service of the namespace is in the environment
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            # A volume of many tiles would else be walked through at every start.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": containers[:-1],
        "containers": containers[-1:],
        "volumes": volumes,
        "priorityClassName": placement.priority_class,
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [dict(each) for each in placement.tolerations],
        "imagePullSecrets": [{"name": placement.pull_secret}] if placement.pull_secret else [],
    }
    spec: Manifest = {
        "parallelism": workers,
        "backoffLimit": placement.retries,
        "activeDeadlineSeconds": placement.deadline_s,
        "ttlSecondsAfterFinished": placement.keep_s,
        "podFailurePolicy": {
            "rules": [
                # A node that is drained is no fault of the job's.
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailJob",
                    "onExitCodes": {"operator": "In", "values": [USAGE_ERROR]},
                },
            ]
        },
        "template": {
            "metadata": {"labels": labels},
            "spec": {key: value for key, value in pod.items() if value not in ("", [], {})},
        },
    }
    if workers == 1:
        spec["completions"] = 1
    if placement.queue:
        spec["suspend"] = True  # the queue starts it
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": placement.namespace,
            "labels": {**labels, **queue},
        },
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def parse_toleration(given: str) -> dict[str, str]:
    """A toleration from what kubectl calls a taint: key[=value][:effect].

    Raises:
        InvalidRequest: JOB_OPTIONS_INVALID.
    """
    found = re.fullmatch(r"([^=:]+)(?:=([^:]+))?(?::(\w+))?", given)
    if found is None:
        raise InvalidRequest(
            "JOB_OPTIONS_INVALID",
            f"'{given}' is no toleration; write it as key=value:NoSchedule, or key for any.",
        )
    key, value, effect = found.groups()
    toleration = {"key": key, "operator": "Equal" if value else "Exists"}
    return toleration | ({"value": value} if value else {}) | ({"effect": effect} if effect else {})


def parse_labels(given: Sequence[str]) -> dict[str, str]:
    """Labels from key=value.

    Raises:
        InvalidRequest: JOB_OPTIONS_INVALID.
    """
    labels = dict(each.partition("=")[::2] for each in given if "=" in each)
    if len(labels) < len(given):
        raise InvalidRequest(
            "JOB_OPTIONS_INVALID", f"{', '.join(given)}: write each label once, as key=value."
        )
    return labels


def name_from(*parts: str) -> str:
    """A name that Kubernetes takes: lower case, digits and dashes."""
    dashed = re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())
    return dashed[:NAME_MAX].strip("-")


def _check_name(name: str) -> None:
    if len(name) > NAME_MAX or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name):
        raise InvalidRequest(
            "JOB_OPTIONS_INVALID",
            f"'{name}' cannot be a job's name: lower case letters, digits and dashes, {NAME_MAX} "
            "at most.",
        )


def _volume(mount: Mount) -> Manifest:
    if not mount.claim:
        return {"name": mount.name, "emptyDir": {}}
    claim: Manifest = {"claimName": mount.claim}
    if mount.read_only:
        claim["readOnly"] = True
    return {"name": mount.name, "persistentVolumeClaim": claim}


def _container(
    step: Step,
    placement: Placement,
    *,
    env: Sequence[Manifest],
    mounts: Sequence[Manifest],
    working_dir: str | None,
) -> Manifest:
    resources = {"cpu": placement.cpu, "memory": placement.memory}
    if placement.gpus:
        resources[placement.gpu_resource] = str(placement.gpus)
    container = {
        "name": step.name,
        "image": placement.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(step.command),
        "env": list(env),
        "resources": {"requests": dict(resources), "limits": resources},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [dict(each) for each in mounts],
    }
    if working_dir:
        container["workingDir"] = working_dir
    return container
