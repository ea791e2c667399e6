"""Trainings and screenings as jobs of a Kubernetes cluster: docs/cluster-jobs.md.

`manifests`, `training`, `screening` and `state` know objects of Kubernetes as plain JSON.
`connection` alone talks to a cluster; it needs the extra "cluster".
"""
