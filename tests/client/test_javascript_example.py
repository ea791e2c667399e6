"""examples/javascript asks a real predict service from Node.js."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lotwise import AsyncClient
from tests.support.tiles import png
from tests.support.triton import ROOT

EXAMPLE = ROOT / "examples" / "javascript"
UNREACHABLE = re.compile(r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT")


def absent(what):
    """Skips for a user and fails in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"CI needs {what}")
    pytest.skip(f"the JavaScript example needs {what}")


def run(*command, cwd, **options):
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False, **options
    )


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The example in a folder of its own, with packages and stubs, as its README makes them."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            absent(f"{program}: scripts/install-system, with LOTWISE_WITH_NODE=1, brings it")
    root = tmp_path_factory.mktemp("example")
    (root / "proto").symlink_to(ROOT / "proto")
    folder = root / "examples" / "javascript"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "gen"))
    installed = run("npm", "ci", cwd=folder)
    if installed.returncode and UNREACHABLE.search(installed.stderr):
        absent("npm's registry, which cannot be reached")
    assert installed.returncode == 0, installed.stderr
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    made = run("npm", "run", "generate", cwd=folder, env=os.environ | {"PATH": path})
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def test_versions_are_exact_and_the_lock_names_no_registry():
    package = json.loads((EXAMPLE / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((EXAMPLE / "package-lock.json").read_text(encoding="utf-8"))
    wanted = package["dependencies"] | package["devDependencies"]
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
    assert [name for name, each in lock["packages"].items() if "resolved" in each] == []
    assert all(each.get("integrity") for name, each in lock["packages"].items() if name)


async def ask(example, *arguments):
    process = await asyncio.create_subprocess_exec(
        "node", "predict.mjs", *map(str, arguments),
        cwd=example,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode(), err.decode()


async def test_it_prints_the_services_answer_in_both_units(example, addresses, pictures, tmp_path):
    path = tmp_path / "tile.png"
    path.write_bytes(png(pictures[0]))
    async with AsyncClient(**addresses) as client:
        expected = await client.predict(path, um_per_px=1.0)

    status, out, err = await ask(example, path, addresses["predict"], "1.0")

    assert status == 0, err
    assert f"peak stress: {expected.psi:.0f} psi, {expected.mpa:.2f} MPa" in out
    assert "trained on simulated lots" in out


async def test_a_tile_that_cannot_be_judged_is_said(example, addresses, tmp_path):
    path = tmp_path / "tile.png"
    path.write_bytes(b"no picture")
    status, out, err = await ask(example, path, addresses["predict"])
    assert (status, out) == (1, "")
    assert "are no PNG" in err
