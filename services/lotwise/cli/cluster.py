"""Trainings and screenings as jobs of a Kubernetes cluster: lotwise cluster train, screen, ...

The client's packages are an extra, so they are imported where a cluster is asked.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from lotwise.cli import cluster_options as options
from lotwise.cli import tables
from lotwise.cli.cluster_jobs import Sending, connect, job_data, print_json, print_line, stay
from lotwise.cli.options import AsJson, UmPerPx, err, out
from lotwise.cluster import screening, training
from lotwise.cluster.manifests import (
    Placement,
    name_from,
    parse_labels,
    parse_toleration,
)
from lotwise.cluster.state import containers

if TYPE_CHECKING:
    from lotwise.cluster.connection import Cluster

app = typer.Typer(help="Train and screen as jobs of a Kubernetes cluster.", no_args_is_help=True)


@app.command()
def train(
    recipes: Annotated[
        list[str],
        typer.Argument(help=f"Of {', '.join(training.RECIPES)}; a job each.", metavar="RECIPES"),
    ],
    profile: Annotated[str, typer.Option(help="Folder of the recipes' files.")] = "gpu",
    max_seconds: Annotated[
        float | None, typer.Option(help="Time limit that overrides the recipe's steps.")
    ] = None,
    lots: Annotated[
        str | None,
        typer.Option(help="Folder of lots.csv in the volume of lots; default: simulated lots."),
    ] = None,
    lots_claim: options.LotsClaim = options.CLAIM_OF_LOTS,
    runs_claim: Annotated[
        str, typer.Option(help="Claim of the volume with runs and checkpoints.")
    ] = options.CLAIM_OF_RUNS,
    data_claim: Annotated[
        str, typer.Option(help="Claim of a volume for rendered tiles; default: with the runs.")
    ] = "",
    export: Annotated[
        str,
        typer.Option(help="Then measure, and write the model into this folder of --models-claim."),
    ] = "",
    models_claim: Annotated[
        str, typer.Option(help="Claim of the volume with model repositories.")
    ] = "lotwise-models",
    image: Annotated[
        str, typer.Option(help="Of deploy/docker/Dockerfile.training.")
    ] = training.IMAGE,
    name: options.Name = None,
    gpus: options.Gpus = 1,
    gpu_resource: options.GpuResource = "nvidia.com/gpu",
    cpu: options.Cpu = "8",
    memory: options.Memory = "32Gi",
    queue: options.Queue = "",
    priority_class: options.PriorityClass = "",
    node_selector: options.NodeSelector = None,
    toleration: options.Toleration = None,
    service_account: options.ServiceAccount = "lotwise",
    pull_secret: options.PullSecret = "",
    deadline: options.Deadline = None,
    retries: options.Retries = 3,
    keep: options.Keep = 7 * options.DAY_S,
    follow: options.Follow = False,
    wait: options.Wait = False,
    patience: options.Patience = options.PATIENCE_S,
    dry_run: options.DryRun = False,
    server_dry_run: options.ServerDryRun = False,
    namespace: options.Namespace = options.NAMESPACE,
    context: options.Context = None,
    as_json: AsJson = False,
) -> None:
    """Train networks; a job that is begun anew goes on from the checkpoints."""
    with options.explained():
        placement = Placement(
            namespace=namespace,
            image=image,
            cpu=cpu,
            memory=memory,
            gpus=gpus,
            gpu_resource=gpu_resource,
            queue=queue,
            priority_class=priority_class,
            node_selector=parse_labels(node_selector or []),
            tolerations=[parse_toleration(each) for each in toleration or ()],
            service_account=service_account,
            pull_secret=pull_secret,
            deadline_s=deadline,
            retries=retries,
            keep_s=keep,
        )
        manifests = [
            training.TrainingJob(
                recipe=recipe,
                name=_name(name, recipe, alone=len(recipes) == 1) or name_from("train", recipe),
                profile=profile,
                runs_claim=runs_claim,
                max_seconds=max_seconds,
                data_claim=data_claim,
                lots_claim="" if lots is None else lots_claim,
                lots=lots or "",
                export=export,
                models_claim=models_claim,
            ).manifest(placement)
            for recipe in dict.fromkeys(recipes)
        ]
        Sending(namespace, context, dry_run, server_dry_run, follow, wait, patience, as_json).send(
            manifests
        )


@app.command()
def screen(
    lots: Annotated[
        list[str],
        typer.Argument(
            help="Folders, archives or patterns, as paths in the volume of lots.", metavar="LOTS"
        ),
    ],
    store: Annotated[
        str,
        typer.Option(
            help="secret/NAME or secret/NAME/KEY: where the cluster keeps the store's address; or "
            "an address without a password."
        ),
    ] = f"{screening.SECRET}lotwise-store",
    lots_claim: options.LotsClaim = options.CLAIM_OF_LOTS,
    workers: Annotated[int, typer.Option(min=1, help="Pods that share the tiles.")] = 2,
    predict: Annotated[str, typer.Option(help="Its address.")] = screening.SERVICES["predict"],
    uncertainty: Annotated[str, typer.Option(help="Its address.")] = screening.SERVICES[
        "uncertainty"
    ],
    referral: Annotated[str, typer.Option(help="Its address.")] = screening.SERVICES["referral"],
    um_per_px: UmPerPx = None,
    policy: Annotated[
        str, typer.Option(help="Version of the policy; default: the service's.")
    ] = "",
    image: Annotated[
        str, typer.Option(help="Of deploy/docker/Dockerfile, with EXTRA=screening.")
    ] = screening.IMAGE,
    name: options.Name = None,
    cpu: options.Cpu = "1",
    memory: options.Memory = "2Gi",
    queue: options.Queue = "",
    priority_class: options.PriorityClass = "",
    node_selector: options.NodeSelector = None,
    toleration: options.Toleration = None,
    service_account: options.ServiceAccount = "lotwise",
    pull_secret: options.PullSecret = "",
    deadline: options.Deadline = None,
    retries: options.Retries = 3,
    keep: options.Keep = 7 * options.DAY_S,
    follow: options.Follow = False,
    wait: options.Wait = False,
    patience: options.Patience = options.PATIENCE_S,
    dry_run: options.DryRun = False,
    server_dry_run: options.ServerDryRun = False,
    namespace: options.Namespace = options.NAMESPACE,
    context: options.Context = None,
    as_json: AsJson = False,
) -> None:
    """Screen lots into a store; several workers share them."""
    with options.explained():
        placement = Placement(
            namespace=namespace,
            image=image,
            cpu=cpu,
            memory=memory,
            queue=queue,
            priority_class=priority_class,
            node_selector=parse_labels(node_selector or []),
            tolerations=[parse_toleration(each) for each in toleration or ()],
            service_account=service_account,
            pull_secret=pull_secret,
            deadline_s=deadline,
            retries=retries,
            keep_s=keep,
        )
        # Of all lots: another set of them is another job, the same one would run twice.
        chosen = hashlib.sha256("\n".join(lots).encode()).hexdigest()[:8]
        manifest = screening.ScreeningJob(
            name=name or name_from("screen", chosen),
            lots=lots,
            store=store,
            lots_claim=lots_claim,
            workers=workers,
            services={"predict": predict, "uncertainty": uncertainty, "referral": referral},
            um_per_px=um_per_px,
            policy=policy,
        ).manifest(placement)
        Sending(namespace, context, dry_run, server_dry_run, follow, wait, patience, as_json).send(
            [manifest]
        )


@app.command()
def jobs(
    namespace: options.Namespace = options.NAMESPACE,
    context: options.Context = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs that were created here, and how far they are."""
    with options.explained():
        listed = [job_data(job) for job in connect(namespace, context).jobs()]
    if as_json:
        for job in listed:
            print_json(job)
    elif not listed:
        out.print(f"There are no jobs in namespace {namespace}.")
    else:
        columns = ("job", "does", "state", "pods", "age")
        rows = [
            (job["name"], job["does"], job["state"], str(job["active"]), _age(job["created"]))
            for job in listed
        ]
        tables.show("Jobs", columns, rows)


@app.command()
def logs(
    job: Annotated[str, typer.Argument(help="Its name.")],
    follow: options.Follow = False,
    patience: options.Patience = options.PATIENCE_S,
    namespace: options.Namespace = options.NAMESPACE,
    context: options.Context = None,
) -> None:
    """Show the logs of a job that there are; with --follow to its end."""
    with options.explained():
        cluster = connect(namespace, context)
        if follow:
            stay(cluster, job, with_logs=True, patience_s=patience)
            return
        pods, _ = cluster.pods(cluster.job(job))
        for pod in pods:
            for container, now in containers(pod):
                if "waiting" not in now:
                    _print_log(cluster, pod["metadata"]["name"], container)


@app.command()
def cancel(
    job: Annotated[str, typer.Argument(help="Its name.")],
    namespace: options.Namespace = options.NAMESPACE,
    context: options.Context = None,
) -> None:
    """End a job and remove it; checkpoints and results stay."""
    with options.explained():
        connect(namespace, context).cancel(job)
    out.print(f"Job {job} is being removed; it is gone once its pods have ended.", soft_wrap=True)


def _print_log(cluster: Cluster, pod: str, container: str) -> None:
    """What there is of a log."""
    from lotwise.cluster.connection import LogCut, LogNotReady

    try:
        for _, line in cluster.log(pod, container, follow=False):
            print_line(pod, container, line)
    except (LogCut, LogNotReady):
        err.print(f"The log of {pod}, {container} may lack its end.", soft_wrap=True)


def _name(given: str | None, recipe: str, *, alone: bool) -> str | None:
    """The job's name that was asked for; several recipes cannot have one."""
    return given if given is None or alone else f"{given}-{recipe}"


def _age(created: str) -> str:
    """How long ago, in the largest unit that is whole."""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds())
    for unit, length in (("d", options.DAY_S), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
