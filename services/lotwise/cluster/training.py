"""Trainings as jobs: `lotwise-train`, a recipe a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lotwise.cluster.manifests import Manifest, Mount, Placement, Step, job_manifest
from lotwise.core.errors import InvalidRequest

IMAGE: Final = "lotwise-training:0.1.0"
RECIPES: Final = ("committee", "regressor", "editor")
ONE_PROCESS: Final = ("editor",)
"""Recipes that several GPUs cannot learn together."""
HOME: Final = "/work"
LOTS: Final = "/lots"
MODELS: Final = "/models"
RESULTS: Final = f"{HOME}/results"

# What makes an exported model of a trained network, after the training.
MEASURED: Final = {
    "committee": (("policy",), ("predict", "--results", RESULTS)),
    "regressor": (("evaluate", "--only", "regressor", "--results", RESULTS),),
    "editor": (("evaluate", "--only", "editor", "--results", RESULTS),),
}


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """What is trained, and with which volumes.

    Attributes:
        recipe: One of `RECIPES`.
        name: Of the job.
        profile: Folder of the recipe's files.
        max_seconds: Of the training; None for as long as the recipe's steps take.
        runs_claim: Volume of runs, checkpoints and results; a job that is begun anew goes on from
            them.
        data_claim: Volume of rendered tiles; "" for a folder beside the runs.
        lots_claim: Volume of own lots; "" for simulated ones.
        lots: Folder of `lots.csv` in it.
        export: Folder of the model repository in `models_claim` that the model is written into;
            "" for none.
        models_claim: Volume of model repositories.
    """

    recipe: str
    name: str
    profile: str
    runs_claim: str
    max_seconds: float | None = None
    data_claim: str = ""
    lots_claim: str = ""
    lots: str = ""
    export: str = ""
    models_claim: str = "lotwise-models"

    def manifest(self, placement: Placement) -> Manifest:
        """The job.

        Raises:
            InvalidRequest: JOB_OPTIONS_INVALID.
        """
        self._check(placement)
        mounts = [Mount("runs", self.runs_claim, HOME)]
        if self.data_claim:
            mounts.append(Mount("data", self.data_claim, f"{HOME}/data"))
        if self.lots_claim:
            mounts.append(Mount("lots", self.lots_claim, LOTS, read_only=True))
        if self.export:
            mounts.append(Mount("models", self.models_claim, MODELS))
        return job_manifest(
            self.name,
            "training",
            self._steps(placement.gpus),
            mounts,
            placement,
            # numba and matplotlib keep files beside themselves, where nobody may write.
            env=[
                {"name": "HOME", "value": "/tmp"},
                {"name": "NUMBA_CACHE_DIR", "value": "/tmp/numba"},
                {"name": "MPLCONFIGDIR", "value": "/tmp/matplotlib"},
            ],
            working_dir=HOME,
        )

    def _check(self, placement: Placement) -> None:
        if self.recipe not in RECIPES:
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID",
                f"There is no recipe '{self.recipe}'; there are {', '.join(RECIPES)}.",
            )
        if placement.gpus > 1 and self.recipe in ONE_PROCESS:
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID",
                f"The {self.recipe} is trained by one process; ask for one GPU.",
            )
        if placement.gpus > 1 and "/mig-" in placement.gpu_resource:
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID",
                "Slices of a GPU cannot train one network together: NCCL does not reach from one "
                "to another. Ask for one slice, or for whole GPUs.",
            )
        if self.lots_claim and self.recipe == "editor":
            raise InvalidRequest(
                "JOB_OPTIONS_INVALID", "The editor learns from simulated lots only."
            )

    def _steps(self, gpus: int) -> list[Step]:
        lots = ["--lots", f"{LOTS}/{self.lots}".rstrip("/")] if self.lots_claim else []
        given = ["--profile", self.profile, "--home", HOME]
        limit = [] if self.max_seconds is None else ["--max-seconds", f"{self.max_seconds:g}"]
        steps = [Step("train", [*launcher(gpus), self.recipe, *given, *lots, *limit])]
        if self.export:
            steps += [
                Step(verb, ["lotwise-train", verb, *options, *given, *lots])
                for verb, *options in MEASURED[self.recipe]
            ]
            where = ["--home", HOME, "--results", RESULTS, "--only", self.recipe]
            target = ["--repository", f"{MODELS}/{self.export}"]
            steps.append(Step("export", ["lotwise-train", "export", *where, *target]))
        return steps


def launcher(gpus: int) -> Sequence[str]:
    """How a training is started: by a process for each GPU."""
    if gpus < 2:
        return ["lotwise-train"]
    return [
        "torchrun",
        "--standalone",
        f"--nproc-per-node={gpus}",
        "-m",
        "lotwise_training",
    ]
