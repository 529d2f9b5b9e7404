from tests.slurm.cluster import cluster, started_cluster

__all__ = ["cluster", "started_cluster"]
