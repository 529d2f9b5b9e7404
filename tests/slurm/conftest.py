from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import cache, environment, experiments
from tests.slurm.cluster import Cluster, cluster, started_cluster
from tests.slurm.sweeps import NODE_PROFILES, Sweeps

__all__ = ["cache", "cluster", "environment", "experiments", "started_cluster"]


@pytest.fixture
def sweeps(cluster: Cluster, environment: dict[str, str], tmp_path: Path) -> Iterator[Sweeps]:
    """A user whose runs go to partition `low`, each on a node of its own."""
    (tmp_path / "rdc-sweep.toml").write_text(NODE_PROFILES)
    own = {"RDC_SWEEP_EXECUTOR": "slurm", "RDC_SWEEP_NODE": "low"}
    user = Sweeps(cluster, tmp_path, {**environment, **cluster.environment, **own})
    yield user
    user.end()
