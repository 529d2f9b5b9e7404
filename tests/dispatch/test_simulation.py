from benchmarks.dispatch.cluster import Weather
from benchmarks.dispatch.simulation import run


def test_a_small_cluster_whose_nodes_die_does_every_run_once() -> None:
    (found,) = run(24, 8, step=0.02, heartbeat=0.1, weather=Weather(deaths=3.0, preemptions=10.0))
    assert found["runs done"] == 24
    assert found["processes"] > 24
