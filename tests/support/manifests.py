"""Rendered Kubernetes manifests, and what tests ask of them."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import check_manifests
from tests.support.triton import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"
LOCAL = KUBERNETES / "overlays/local"
PRODUCTION = KUBERNETES / "overlays/production"
Thing = dict[str, Any]


@functools.cache
def rendered(folder: Path) -> tuple[Thing, ...]:
    """The objects of an overlay. Without kubectl its tests skip for a user and fail in CI."""
    try:
        return tuple(check_manifests.render(folder))
    except check_manifests.KubectlMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs kubectl: {missing}")
        pytest.skip(str(missing))


def find(folder: Path, kind: str, name: str) -> Thing:
    """One object by kind and name."""
    (one,) = (
        each
        for each in rendered(folder)
        if each["kind"] == kind and each["metadata"]["name"] == name
    )
    return one


def pods(folder: Path) -> dict[str, Thing]:
    """The pod templates, by the name label of their pods."""
    templates = [
        each["spec"]["template"]
        for each in rendered(folder)
        if each["kind"] in ("Deployment", "StatefulSet", "Job")
    ]
    return {each["metadata"]["labels"]["app.kubernetes.io/name"]: each for each in templates}


def containers(pod: Thing) -> list[Thing]:
    """All of a pod's, those that run first included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def environment(container: Thing, release: str) -> dict[str, str]:
    """A container's variables with a stated value, as the process sees them."""
    return {
        each["name"]: each["value"].replace("$(MODEL_RELEASE)", release)
        for each in container.get("env", [])
        if "value" in each
    }


def selects(selector: Thing, labels: dict[str, str]) -> bool:
    """Whether a label selector takes these labels."""
    equal = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    within = True
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "In", f"{each['operator']} is not understood here"
        within &= labels.get(each["key"]) in each["values"]
    return equal and within


class Network:
    """What an overlay's NetworkPolicies let through.

    Policies add up: a pod that any policy selects for a direction may do in it what one of them
    names, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._policies = [
            each["spec"] for each in rendered(folder) if each["kind"] == "NetworkPolicy"
        ]
        self._pods = pods(folder)

    def lets(self, sender: Thing | str, receiver: Thing | str, port: int) -> bool:
        """Whether a connection passes both ends.

        Args:
            sender: A name of a pod here, or `{"pod": labels, "namespace": labels}` of another.
            receiver: Likewise.
            port: Of the receiver.
        """
        one, other = self._end(sender), self._end(receiver)
        return self._passes("Egress", one, other, port, other) and self._passes(
            "Ingress", other, one, port, other
        )

    def _end(self, who: Thing | str) -> Thing:
        if isinstance(who, str):
            here = {"kubernetes.io/metadata.name": "lotwise"}
            return {"pod": self._pods[who]["metadata"]["labels"], "namespace": here, "name": who}
        return who

    def _passes(self, way: str, inner: Thing, outer: Thing, port: int, owner: Thing) -> bool:
        if "name" not in inner:
            return True  # not one of our pods: others' policies are theirs
        about = [
            each
            for each in self._policies
            if way in each["policyTypes"] and selects(each["podSelector"], inner["pod"])
        ]
        side = "to" if way == "Egress" else "from"
        rules = [rule for each in about for rule in each.get(way.lower(), [])]
        return not about or any(
            self._peers(rule.get(side), outer) and self._port(rule.get("ports"), port, owner)
            for rule in rules
        )

    @staticmethod
    def _peers(peers: list[Thing] | None, outer: Thing) -> bool:
        if peers is None:
            return True
        for peer in peers:
            namespace = peer.get("namespaceSelector")
            here = outer["namespace"].get("kubernetes.io/metadata.name") == "lotwise"
            near = here if namespace is None else selects(namespace, outer["namespace"])
            if near and selects(peer.get("podSelector", {}), outer["pod"]):
                return True
        return False

    def _port(self, ports: list[Thing] | None, port: int, owner: Thing) -> bool:
        named = self._named(owner)
        return ports is None or any(named.get(each["port"], each["port"]) == port for each in ports)

    def _named(self, owner: Thing) -> Thing:
        if "name" not in owner:
            return {}
        return {
            each["name"]: each["containerPort"]
            for container in containers(self._pods[owner["name"]])
            for each in container.get("ports", [])
        }


def every_container(folder: Path) -> Iterator[tuple[str, Thing, Thing]]:
    """Name of the pod, the pod, a container of it."""
    for name, pod in pods(folder).items():
        for container in containers(pod):
            yield name, pod, container
