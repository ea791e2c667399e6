"""Jobs as they would be created."""

from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from lotwise import cli
from lotwise.cluster.manifests import Placement, name_from, parse_labels, parse_toleration
from lotwise.cluster.screening import IMAGE as SCREENING_IMAGE
from lotwise.cluster.screening import STORE, ScreeningJob
from lotwise.cluster.training import RECIPES, TrainingJob
from lotwise.core.errors import InvalidRequest
from lotwise_training.cli import app as training_cli
from tests.support.triton import ROOT

PLACEMENT = Placement(
    namespace="lotwise", image="registry.lab/lotwise-training:1", cpu="8", memory="32Gi", gpus=1
)
FULL = replace(
    PLACEMENT,
    gpus=2,
    queue="gpus",
    priority_class="night",
    node_selector={"gpu": "h100"},
    tolerations=[parse_toleration("nvidia.com/gpu=present:NoSchedule"), parse_toleration("spot")],
    pull_secret="registry",
    deadline_s=3600,
)
TRAINING = TrainingJob(
    recipe="regressor", name="train-regressor", profile="gpu", runs_claim="lotwise-training"
)
SCREENING = ScreeningJob(
    name="screen-a12",
    lots=["A12", "night/*.tif"],
    store="secret/lotwise-store",
    lots_claim="lotwise-spool",
    workers=3,
)
SCREENING_PLACEMENT = replace(PLACEMENT, image=SCREENING_IMAGE, gpus=0, cpu="1")
JOBS = {
    **{
        f"{recipe}{'' if not export else ', exported'}": replace(
            TRAINING, recipe=recipe, export=export
        ).manifest(PLACEMENT)
        for recipe in RECIPES
        for export in ("", "candidate")
    },
    "regressor of own lots": replace(
        TRAINING, lots_claim="lotwise-spool", lots="ours", data_claim="tiles", max_seconds=90
    ).manifest(FULL),
    "committee of own lots, exported": replace(
        TRAINING, recipe="committee", lots_claim="lotwise-spool", lots="ours", export="candidate"
    ).manifest(PLACEMENT),
    "screening": SCREENING.manifest(SCREENING_PLACEMENT),
    "screening with all options": replace(
        SCREENING, um_per_px=0.5, policy="cascade", store="postgresql://lotwise@db/lots"
    ).manifest(replace(FULL, gpus=0)),
}
every_job = pytest.mark.parametrize("what", JOBS)


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def containers_of(manifest):
    pod = pod_of(manifest)
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("version", ["1.30", "1.37"])
@every_job
def test_the_schema_takes_it(what, version):
    kubernetes_validate.validate(JOBS[what], version, strict=True)


def test_the_schema_would_not_take_a_misspelt_field():
    manifest = yaml.safe_load(yaml.safe_dump(JOBS["screening"]))
    manifest["spec"]["backofLimit"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.30", strict=True)


@every_job
def test_a_namespace_that_is_restricted_takes_it(what):
    pod = pod_of(JOBS[what])
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"persistentVolumeClaim", "emptyDir"}
    for container in containers_of(JOBS[what]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@every_job
def test_its_commands_are_ones_that_the_image_understands(what):
    for container in containers_of(JOBS[what]):
        program, *arguments = container["command"]
        if program == "torchrun":
            assert arguments[:4] == ["--standalone", "--nproc-per-node=2", "-m", "lotwise_training"]
            program, arguments = "lotwise-train", arguments[4:]
        app = {"lotwise-train": training_cli.app, "lotwise": cli.app}[program]
        verb, *options = arguments
        get_command(app).commands[verb].make_context(verb, options)
        assert container["workingDir"] in ("/work", "/lots")


def test_there_is_a_profile_for_gpus_of_every_recipe():
    assert {path.stem for path in (ROOT / "training/configs/gpu").glob("*.toml")} >= set(RECIPES)


def test_steps_run_one_after_another_and_the_model_is_written_last():
    manifest = JOBS["committee, exported"]
    names = [container["name"] for container in containers_of(manifest)]
    assert names == ["train", "policy", "predict", "export"]
    assert pod_of(manifest)["containers"][0]["command"][-2:] == [
        "--repository",
        "/models/candidate",
    ]


def test_several_gpus_are_one_process_each_with_memory_to_pass_gradients_through():
    manifest = JOBS["regressor of own lots"]
    (container,) = containers_of(manifest)
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert container["command"][:3] == ["torchrun", "--standalone", "--nproc-per-node=2"]
    assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
    assert containers_of(JOBS["regressor"])[0]["command"][0] == "lotwise-train"


def test_a_slice_of_a_gpu_is_asked_for_by_its_name():
    manifest = TRAINING.manifest(replace(PLACEMENT, gpu_resource="nvidia.com/mig-1g.10gb"))
    assert containers_of(manifest)[0]["resources"]["limits"] == {
        "cpu": "8",
        "memory": "32Gi",
        "nvidia.com/mig-1g.10gb": "1",
    }


def test_a_queue_starts_its_jobs():
    manifest = JOBS["regressor of own lots"]
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert manifest["spec"]["suspend"] is True
    assert "suspend" not in JOBS["regressor"]["spec"]


def test_where_it_runs_is_as_it_was_asked_for():
    pod = pod_of(JOBS["regressor of own lots"])
    assert pod["priorityClassName"] == "night"
    assert pod["nodeSelector"] == {"gpu": "h100"}
    assert pod["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Equal", "value": "present", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert JOBS["regressor of own lots"]["spec"]["activeDeadlineSeconds"] == 3600


def test_workers_share_the_work_and_one_that_succeeds_is_enough():
    spec = JOBS["screening"]["spec"]
    assert spec["parallelism"] == 3
    assert "completions" not in spec


def test_the_store_is_named_by_its_secret_alone():
    (container,) = containers_of(JOBS["screening"])
    assert {
        "name": STORE,
        "valueFrom": {"secretKeyRef": {"name": "lotwise-store", "key": "url"}},
    } in container["env"]
    assert not any("store" in each for each in container["command"])
    other = replace(SCREENING, store="secret/lab/address").manifest(SCREENING_PLACEMENT)
    reference = containers_of(other)[0]["env"][1]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "lab", "key": "address"}


def test_workers_take_the_store_from_their_variable(monkeypatch):
    monkeypatch.setenv(STORE, "postgresql://db/lots")
    (container,) = containers_of(JOBS["screening"])
    verb, *options = container["command"][1:]
    context = get_command(cli.app).commands[verb].make_context(verb, options)
    assert context.params["store"] == "postgresql://db/lots"
    assert context.params["lots"] == ("A12", "night/*.tif")


@pytest.mark.parametrize(
    "store", ["postgresql://u:pa55@db/lots", "postgresql://u@db/lots?password=pa55"]
)
def test_a_password_is_put_into_no_manifest(store):
    with pytest.raises(InvalidRequest) as refused:
        replace(SCREENING, store=store).manifest(SCREENING_PLACEMENT)
    assert refused.value.reason == "STORE_PASSWORD_SHOWN"
    assert "pa55" not in str(refused.value)


MIG = replace(PLACEMENT, gpus=2, gpu_resource="nvidia.com/mig-1g.10gb")
REFUSED = {
    "a recipe that there is not": (replace(TRAINING, recipe="oracle"), PLACEMENT),
    "an editor on two GPUs": (replace(TRAINING, recipe="editor"), FULL),
    "an editor of own lots": (replace(TRAINING, recipe="editor", lots_claim="x"), PLACEMENT),
    "two slices": (TRAINING, MIG),
    "a name with capitals": (replace(TRAINING, name="Train"), PLACEMENT),
    "a name that is too long": (replace(TRAINING, name="t" * 64), PLACEMENT),
    "a file as store": (replace(SCREENING, store="night.sqlite"), PLACEMENT),
    "a secret without a name": (replace(SCREENING, store="secret/"), PLACEMENT),
    "a lot outside of the volume": (replace(SCREENING, lots=["../A12"]), PLACEMENT),
    "a lot that would be an option": (replace(SCREENING, lots=["--watch"]), PLACEMENT),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused(what):
    job, placement = REFUSED[what]
    with pytest.raises(InvalidRequest) as refused:
        job.manifest(placement)
    assert refused.value.reason == "JOB_OPTIONS_INVALID"


@pytest.mark.parametrize("given", ["", "=x", "a=b:c:d"])
def test_a_toleration_that_is_none_is_refused(given):
    with pytest.raises(InvalidRequest, match="no toleration"):
        parse_toleration(given)


def test_a_label_that_is_none_is_refused():
    assert parse_labels(["a=b=c", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(InvalidRequest, match="key=value"):
        parse_labels(["a=b", "c"])


def test_names_are_ones_that_kubernetes_takes():
    assert name_from("screen", "Lot 7/A.12") == "screen-lot-7-a-12"
    assert len(name_from("screen", "x" * 100)) == 63


def test_the_document_names_what_the_code_has():
    document = Path(ROOT / "docs/cluster-jobs.md").read_text(encoding="utf-8")
    assert "was not run on a cluster" in document
    for command in get_command(cli.app).commands["cluster"].commands:
        assert f"lotwise cluster {command}" in document
