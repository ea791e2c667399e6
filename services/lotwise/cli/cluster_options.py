"""Options of `lotwise cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from lotwise.cli.options import fail
from lotwise.core.errors import LotwiseError

NAMESPACE: Final = "lotwise"
CLAIM_OF_RUNS: Final = "lotwise-training"
CLAIM_OF_LOTS: Final = "lotwise-spool"
DAY_S: Final = 86400
PATIENCE_S: Final = 300.0

Namespace = Annotated[
    str, typer.Option(help="Of the jobs.", envvar="LOTWISE_NAMESPACE", show_envvar=True)
]
Context = Annotated[str | None, typer.Option(help="Of the kubeconfig; default: its current one.")]
Name = Annotated[
    str | None, typer.Option(help="Of the job; default: from what it does, so that it runs once.")
]
Cpu = Annotated[str, typer.Option(help="Of each pod, such as 4 or 500m.")]
Memory = Annotated[str, typer.Option(help="Of each pod, such as 16Gi.")]
Gpus = Annotated[
    int, typer.Option(min=0, help="Of the job; several train one network after another together.")
]
GpuResource = Annotated[
    str, typer.Option(help="What the cluster calls a GPU, or a slice: nvidia.com/mig-1g.10gb.")
]
Queue = Annotated[
    str, typer.Option(help="Kueue's local queue, which starts the job when there is room.")
]
PriorityClass = Annotated[str, typer.Option(help="Of the pods.")]
NodeSelector = Annotated[
    list[str] | None, typer.Option(help="key=value that a node must have; again for each.")
]
Toleration = Annotated[
    list[str] | None,
    typer.Option(help="key=value:effect of a taint that does not matter; again for each."),
]
ServiceAccount = Annotated[str, typer.Option(help="Of the pods; they get no token of it.")]
PullSecret = Annotated[str, typer.Option(help="With which the image is pulled.")]
Deadline = Annotated[
    int | None, typer.Option(min=1, help="Seconds after which the job is ended; default: never.")
]
Retries = Annotated[int, typer.Option(min=0, help="Pods that may fail before the job does.")]
Keep = Annotated[int, typer.Option(min=0, help="Seconds for which a job that ended is kept.")]
LotsClaim = Annotated[str, typer.Option(help="Claim of the volume with the lots.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be created; ask no cluster.")
]
ServerDryRun = Annotated[
    bool, typer.Option("--server-dry-run", help="Let the cluster say whether it would take it.")
]
Follow = Annotated[
    bool,
    typer.Option("--follow", "-f", help="Show the logs to the end; the exit code is the job's."),
]
Wait = Annotated[bool, typer.Option("--wait", help="As --follow, without the logs.")]
Patience = Annotated[
    float,
    typer.Option(min=0.0, help="Seconds that a followed job may wait for a node; not in a queue."),
]


@contextmanager
def explained() -> Iterator[None]:
    """Says what is wrong, and which extra is missing where one is."""
    try:
        yield
    except ImportError as missing:
        fail(
            f"`lotwise cluster` needs more packages ({missing}). "
            "Run `pip install 'lotwise[cluster]'`."
        )
    except LotwiseError as error:
        fail(f"{error.reason}: {error.message}")
