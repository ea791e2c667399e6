"""What goes wrong with a cluster and with jobs on it."""

from __future__ import annotations

from lotwise.core.errors import LotwiseError


class ClusterError(LotwiseError):
    """The cluster does not do what was asked of it."""


class JobFailed(ClusterError):
    """A job, or a pod of it, cannot go on or has ended badly."""
