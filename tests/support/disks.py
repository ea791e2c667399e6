"""Disks that are full, and folders that nobody may read."""

import contextlib
import os
import subprocess

import pytest

NOBODY = 65_534


@contextlib.contextmanager
def small_disk(path, size="1m", owner=None):
    """A real file system of its own; only root may make one."""
    path.mkdir()
    options = f"size={size}" + (f",uid={owner[0]},gid={owner[1]}" if owner else "")
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", path]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


def fill_disk(path):
    """Write a file until the disk that it is on is full."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as other:
        while other.write(b"x" * 1024):
            pass


@contextlib.contextmanager
def full_disk(store, path):
    """Wholly filled by another file, which is removed at last."""
    fill_disk(path.parent / "other")
    yield
    (path.parent / "other").unlink()


@contextlib.contextmanager
def without_rights(*folders):
    """As a user who may not read these folders: as root, who may read all, as somebody else."""
    before = {folder: folder.stat().st_mode for folder in folders}
    for folder in folders:
        folder.chmod(0)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if as_root:
            os.seteuid(0)
        for folder, mode in before.items():
            folder.chmod(mode)
