"""Screenings as jobs: `lotwise screen --store`, by workers that share the lots' tiles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from lotwise.cluster.manifests import Manifest, Mount, Placement, Step, job_manifest
from lotwise.core.errors import InvalidRequest

IMAGE: Final = "lotwise-screening:0.1.0"
LOTS: Final = "/lots"
STORE: Final = "LOTWISE_SCREEN_STORE"
"""Variable from which `lotwise screen` takes its store: no command line shows it."""
SECRET: Final = "secret/"
"""How a store begins whose address is in a secret of the cluster."""
KEY: Final = "url"
SERVICES: Final = {
    "predict": "dns:///lotwise-predict:50051",
    "uncertainty": "dns:///lotwise-uncertainty:50052",
    "referral": "dns:///lotwise-referral:50053",
}


@dataclass(frozen=True, kw_only=True)
class ScreeningJob:
    """Which lots are screened, into which store.

    Attributes:
        name: Of the job.
        lots: Folders, archives or patterns, as paths in the volume of lots.
        store: "secret/NAME" or "secret/NAME/KEY", or an address without a password.
        lots_claim: Volume of the lots.
        workers: Pods that share the work.
        services: Address of each service that is asked.
        um_per_px: Edge length of a pixel in micrometres, where the files do not say it.
        policy: That decides; "" for the services' own.
    """

    name: str
    lots: Sequence[str]
    store: str
    lots_claim: str
    workers: int = 1
    services: dict[str, str] = field(default_factory=lambda: dict(SERVICES))
    um_per_px: float | None = None
    policy: str = ""

    def manifest(self, placement: Placement) -> Manifest:
        """The job.

        Raises:
            InvalidRequest: JOB_OPTIONS_INVALID, STORE_PASSWORD_SHOWN.
        """
        store = store_variable(self.store)
        if "value" in store and "://" not in self.store:
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID",
                "A file cannot be the store of a job: its workers would not share it safely. Name "
                f"a PostgreSQL database, best by its secret: --store {SECRET}lotwise-store.",
            )
        for lot in self.lots:
            path = PurePosixPath(lot)
            if path.is_absolute() or ".." in path.parts or lot.startswith("-"):
                raise InvalidRequest(
                    "JOB_OPTIONS_INVALID",
                    f"'{lot}' is no path in the volume of lots; name it as seen from its root.",
                )
        command = ["lotwise", "screen", "--json"]
        command += [f"--{name}={address}" for name, address in self.services.items()]
        if self.um_per_px is not None:
            command.append(f"--um-per-px={self.um_per_px:g}")
        if self.policy:
            command.append(f"--policy={self.policy}")
        return job_manifest(
            self.name,
            "screening",
            [Step("screen", [*command, *self.lots])],
            [Mount("lots", self.lots_claim, LOTS, read_only=True)],
            placement,
            env=[{"name": "HOME", "value": "/tmp"}, store],
            workers=self.workers,
            working_dir=LOTS,
        )


def store_variable(store: str) -> Manifest:
    """The variable that tells the workers their store.

    Raises:
        InvalidRequest: STORE_PASSWORD_SHOWN: All who may read jobs would read the password.
            JOB_OPTIONS_INVALID: The secret is not named as it must be.
    """
    if store.startswith(SECRET):
        name, _, key = store.removeprefix(SECRET).partition("/")
        if not name or "/" in key:
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID", f"Name a secret as {SECRET}NAME or {SECRET}NAME/KEY."
            )
        return {
            "name": STORE,
            "valueFrom": {"secretKeyRef": {"name": name, "key": key or KEY}},
        }
    if re.search(r"://[^/@]*:[^@]+@|[?&]password=", store):
        raise InvalidRequest(
            "STORE_PASSWORD_SHOWN",
            "The store's address has a password, which all who may read jobs would read. Put the "
            "address into a secret, `kubectl create secret generic lotwise-store "
            f"--from-file={KEY}=FILE`, and name that: --store {SECRET}lotwise-store.",
        )
    return {"name": STORE, "value": store}
