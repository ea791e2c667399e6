"""The command `lotwise`, run while the services of this process answer."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

LOTWISE = Path(sys.executable).with_name("lotwise")


async def ask(verb, *arguments, service=None, services=None, **environment):
    """Run a verb; `service` of `services` answers it."""
    where = ["--host", f"127.0.0.1:{services[service].port}"] if service else []
    process = await asyncio.create_subprocess_exec(
        LOTWISE, *verb.split(), *map(str, arguments), *where,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "120"} | environment,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert b"Traceback" not in err, err.decode()
    return subprocess.CompletedProcess(verb, process.returncode, out.decode(), err.decode())


def lines_of(done):
    return [json.loads(line) for line in done.stdout.splitlines()]
