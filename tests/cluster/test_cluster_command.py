"""The verbs of `lotwise cluster`."""

import json
import os
import signal
import subprocess
import sys

import kubernetes_validate
import pytest
import yaml
from kubernetes.config import kube_config

from lotwise.cli.cluster_jobs import INTERRUPTED
from tests.support.command import LOTWISE
from tests.support.recorded_kubernetes import (
    COMPLETE,
    JOBS,
    NAME,
    POD,
    PODS,
    RUNNING,
    RUNS,
    UID,
    ended,
    failed,
    job,
    listed,
    log,
    pod,
    refused,
)

JOB = f"{JOBS}/{NAME}"
LOG = f"{PODS}/{POD}/log"
LINE = "2026-11-27T22:00:01.000000000Z loss 0.693\n"


def test_a_dry_run_prints_what_would_be_created_and_asks_no_cluster(said):
    code, printed, _ = said("train", "regressor", "committee", "--dry-run", "--gpus", 4)
    assert code == 0
    manifests = list(yaml.safe_load_all(printed))
    assert [each["metadata"]["name"] for each in manifests] == [
        "train-regressor",
        "train-committee",
    ]
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.30", strict=True)
    assert "&id" not in printed


def test_what_is_created_is_what_a_dry_run_prints(api, said):
    api.on("POST", JOBS, job())
    options = ("screen", "A12", "B7.zip", "--workers", 3, "--store", "secret/lab/address")
    _, printed, _ = said(*options, "--dry-run")
    code, created, _ = said(*options, "--json")
    assert code == 0
    (asked,) = api.requests("POST", JOBS)
    assert asked.body == yaml.safe_load(printed)
    assert asked.query == {"fieldValidation": "Strict"}
    assert json.loads(created)["name"] == NAME


def test_the_cluster_can_be_asked_whether_it_would_take_a_job(api, said):
    api.on("POST", JOBS, job())
    code, printed, _ = said("train", "regressor", "--server-dry-run")
    assert code == 0
    assert [each.query["dryRun"] for each in api.requests("POST", JOBS)] == ["All"]
    assert "would take" in printed


def test_of_several_jobs_none_is_created_where_one_is_refused(api, said):
    api.on("POST", JOBS, job(), refused(409, "AlreadyExists", 'jobs.batch "x" already exists'))
    code, _, error = said("train", "regressor", "committee")
    assert code == 1
    assert error.startswith("JOB_EXISTS: ")
    assert {each.query.get("dryRun") for each in api.requests("POST", JOBS)} == {"All"}


REFUSALS = {
    "JOB_EXISTS": refused(
        409, "AlreadyExists", f'jobs.batch "{NAME}" already exists', name=NAME, kind="jobs"
    ),
    "JOB_INVALID": refused(
        422,
        "Invalid",
        f'Job.batch "{NAME}" is invalid: spec.template.spec.containers[0].resources.limits'
        '[nvidia.com/gpu]: Invalid value: "1.5": must be an integer',
        kind="Job",
    ),
    "CLUSTER_FORBIDDEN": refused(
        403,
        "Forbidden",
        'jobs.batch is forbidden: User "ann" cannot create resource "jobs" in API group "batch"',
        kind="jobs",
    ),
    "CLUSTER_UNAUTHENTICATED": refused(401, "Unauthorized", "Unauthorized"),
    "CLUSTER_NAMESPACE_UNKNOWN": refused(
        404, "NotFound", 'namespaces "lotwise" not found', name="lotwise", kind="namespaces"
    ),
    "CLUSTER_REFUSED": refused(500, "InternalError", "failed calling webhook"),
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_what_the_cluster_refuses_is_said_with_a_reason(reason, api, said):
    api.on("POST", JOBS, REFUSALS[reason])
    code, printed, error = said("train", "regressor")
    assert (code, printed) == (1, "")
    assert error.startswith(f"{reason}: ")
    message = REFUSALS[reason].body["message"]
    assert message in error or reason == "CLUSTER_NAMESPACE_UNKNOWN"


def test_a_cluster_that_does_not_answer_is_named(api, said, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.write_text((tmp_path / "kubeconfig").read_text().replace(api.url, "http://127.0.0.1:1"))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(other))
    code, _, error = said("jobs")
    assert code == 1
    assert error.startswith("CLUSTER_UNREACHABLE: http://127.0.0.1:1 ")


def test_without_a_kubeconfig_there_is_no_cluster(said, tmp_path, monkeypatch):
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    code, _, error = said("jobs")
    assert code == 1
    assert error.startswith("CLUSTER_UNCONFIGURED: ")


def test_a_context_that_there_is_not_is_said(api, said):
    code, _, error = said("jobs", "--context", "factory")
    assert code == 1
    assert error.startswith("CLUSTER_UNCONFIGURED: ")
    assert "factory" in error


def test_without_the_clients_packages_the_extra_is_named(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "lotwise.cluster.connection", None)
    code, _, error = said("jobs")
    assert code == 1
    assert "pip install 'lotwise[cluster]'" in error


def test_what_makes_no_sense_is_refused_before_any_cluster_is_asked(said):
    code, _, error = said("screen", "A12", "--store", "postgresql://u:pa55@db/lots", "--dry-run")
    assert code == 1
    assert error.startswith("STORE_PASSWORD_SHOWN: ")
    assert "pa55" not in error


def test_jobs_are_listed_with_how_far_they_are(api, said):
    api.on(
        "GET",
        JOBS,
        listed(
            "Job",
            job("train-committee", **failed("BackoffLimitExceeded", "limit")),
            job(**RUNNING),
            job("queued", suspend=True),
        ),
    )
    code, printed, _ = said("jobs")
    assert code == 0
    for word in ("train-committee", "failed", "running", "queued", "training"):
        assert word in printed
    _, printed, _ = said("jobs", "--json")
    states = {each["name"]: each["state"] for each in map(json.loads, printed.splitlines())}
    assert states == {
        "train-committee": "failed (BackoffLimitExceeded)",
        NAME: "running",
        "queued": "queued",
    }
    query = api.requests("GET", JOBS)[0].query
    assert query["labelSelector"] == "app.kubernetes.io/managed-by=lotwise-cluster"


def test_a_namespace_without_jobs_says_so(api, said):
    api.on("GET", JOBS, listed("Job"))
    assert said("jobs")[:2] == (0, "There are no jobs in namespace lotwise.\n")


def test_cancelling_removes_this_job_and_waits_for_its_pods(api, said):
    api.on("GET", JOB, job(**RUNNING))
    api.on("DELETE", JOB, job(**RUNNING))
    code, printed, _ = said("cancel", NAME)
    assert code == 0
    assert "being removed" in printed
    (asked,) = api.requests("DELETE", JOB)
    assert asked.body == {"propagationPolicy": "Foreground", "preconditions": {"uid": UID}}


def test_a_job_of_others_is_left_alone(api, said):
    foreign = job()
    foreign["metadata"]["labels"] = {"app": "backup"}
    api.on("GET", JOB, foreign)
    code, _, error = said("cancel", NAME)
    assert code == 1
    assert error.startswith("JOB_FOREIGN: ")
    assert api.requests("DELETE", JOB) == []


@pytest.mark.parametrize("verb", ["cancel", "logs"])
def test_a_job_that_there_is_not_is_said(verb, api, said):
    api.on("GET", JOB, refused(404, "NotFound", f'jobs.batch "{NAME}" not found', kind="jobs"))
    code, _, error = said(verb, NAME)
    assert code == 1
    assert error.startswith("JOB_UNKNOWN: ")


def test_logs_that_there_are_can_be_shown(api, said):
    api.on("GET", JOB, job(**RUNNING))
    api.on("GET", PODS, listed("Pod", pod(POD, "Running", ended(0), RUNS)))
    api.on("GET", LOG, log(LINE))
    code, printed, _ = said("logs", NAME)
    assert code == 0
    assert printed.splitlines() == ["x7k2p step0: loss 0.693", "x7k2p train: loss 0.693"]
    assert api.requests("GET", LOG)[0].query["follow"] == "False"


@pytest.mark.parametrize(
    "answer", [log(LINE, cut=True), refused(400, "BadRequest", "is waiting to start")]
)
def test_a_log_that_breaks_off_says_so(answer, api, said):
    api.on("GET", JOB, job(**RUNNING))
    api.on("GET", PODS, listed("Pod", pod(POD, "Running", RUNS)))
    api.on("GET", LOG, answer)
    code, _, error = said("logs", NAME)
    assert code == 0
    assert "may lack its end" in error


@pytest.mark.parametrize(("status", "phase", "code"), [
    (COMPLETE, "Succeeded", 0), (failed("BackoffLimitExceeded", "limit"), "Failed", 1),
])  # fmt: skip
@pytest.mark.parametrize("how", ["--follow", "--wait"])
def test_the_exit_code_is_the_jobs(how, status, phase, code, api, said):
    api.on("POST", JOBS, job())
    api.on("GET", JOB, job(**RUNNING), job(**status))
    api.on("GET", PODS, listed("Pod", pod(POD, phase, ended(code))))
    api.on("GET", LOG, log(LINE))
    got, printed, error = said("train", "regressor", how)
    assert got == code
    assert ("loss 0.693" in printed) == (how == "--follow")
    assert ("has succeeded" if code == 0 else "JOB_FAILED: ") in error


def test_ctrl_c_leaves_the_job_running_and_says_how_to_end_it(api):
    api.on("GET", JOB, job(**RUNNING))
    api.on("GET", PODS, listed("Pod", pod(POD, "Running", RUNS)))
    api.on("GET", LOG, log(LINE, hold_s=60.0))
    process = subprocess.Popen(
        [LOTWISE, "cluster", "logs", NAME, "--follow"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
        # Tests that run in the background ignore it, and so would what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "x7k2p train: loss 0.693\n"
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert f"lotwise cluster cancel {NAME}" in error
    assert "Traceback" not in error
    assert api.requests("DELETE", JOB) == []
