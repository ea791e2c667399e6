"""What `lotwise cluster` does with jobs: creates them, stays with them, says how far they are.

The client's packages are an extra, so they are imported where a cluster is asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from lotwise.cli.options import err, out
from lotwise.cluster.manifests import COMPONENT, Manifest
from lotwise.cluster.state import Object, condition, state

if TYPE_CHECKING:
    from lotwise.cluster.connection import Cluster

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of a shell."""


@dataclass(frozen=True)
class Sending:
    """What becomes of manifests that were made.

    Attributes:
        namespace, context: Of the cluster.
        dry_run: Print them instead.
        server_dry_run: Let the cluster look at them.
        follow, wait: Stay until the jobs have ended, with or without their logs.
        patience_s: See `Follower`.
        as_json: Speak JSON.
    """

    namespace: str
    context: str | None
    dry_run: bool
    server_dry_run: bool
    follow: bool
    wait: bool
    patience_s: float
    as_json: bool

    def send(self, manifests: Sequence[Manifest]) -> None:
        """Create the jobs, and stay with them if that is asked for."""
        if self.dry_run:
            _print_manifests(manifests)
            return
        cluster = connect(self.namespace, self.context)
        # All or none: what the cluster refuses, it refuses before the first job runs.
        for manifest in manifests if self.server_dry_run or len(manifests) > 1 else ():
            cluster.create(manifest, dry_run=True)
        for manifest in () if self.server_dry_run else manifests:
            created = cluster.create(manifest)
            if self.as_json:
                print_json(job_data(created))
            else:
                out.print(f"Created job {created['metadata']['name']}.", soft_wrap=True)
        if self.server_dry_run:
            out.print(f"The cluster would take {len(manifests)} jobs.")
        elif self.follow or self.wait:
            for manifest in manifests:
                stay(
                    cluster,
                    manifest["metadata"]["name"],
                    with_logs=self.follow,
                    patience_s=self.patience_s,
                )


def connect(namespace: str, context: str | None) -> Cluster:
    """The cluster that is asked."""
    from lotwise.cluster.connection import Cluster

    return Cluster(namespace, context)


def stay(cluster: Cluster, name: str, *, with_logs: bool, patience_s: float) -> None:
    """Until the job has ended; Ctrl-C leaves it running."""
    from lotwise.cluster.following import Follower

    follower = Follower(
        cluster=cluster,
        tell=lambda text: err.print(text, style="yellow", markup=False, soft_wrap=True),
        show=print_line if with_logs else None,
        patience_s=patience_s,
    )
    try:
        follower.follow(name)
    except KeyboardInterrupt:
        err.print(
            f"Job {name} goes on. `lotwise cluster logs {name} --follow` shows it again, "
            f"`lotwise cluster cancel {name}` ends it.",
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    err.print(f"Job {name} has succeeded.", soft_wrap=True)


def job_data(job: Object) -> dict[str, Any]:
    """What is said of a job."""
    now, ended = state(job), condition(job, "Failed") or {}
    reason = f" ({ended['reason']})" if ended.get("reason") else ""
    return {
        "name": job["metadata"]["name"],
        "namespace": job["metadata"]["namespace"],
        "does": job["metadata"]["labels"][COMPONENT],
        "state": f"{now}{reason}",
        "active": job.get("status", {}).get("active") or 0,
        "created": job["metadata"].get("creationTimestamp") or "",
    }


def _print_manifests(manifests: Sequence[Manifest]) -> None:
    import yaml

    # Each part written out, also where several containers have it.
    plain = json.loads(json.dumps(manifests))
    yaml.safe_dump_all(plain, sys.stdout, sort_keys=False)


def print_json(data: object) -> None:
    """A line for programs."""
    print(json.dumps(data))  # noqa: T201


def print_line(pod: str, container: str, line: str) -> None:
    """A line of a log, with the end of its pod's name and its container."""
    # One write a line: several pods speak at once.
    sys.stdout.write(f"{pod[-5:]} {container}: {line}\n")
    sys.stdout.flush()
