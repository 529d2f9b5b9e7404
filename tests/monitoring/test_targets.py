from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.monitoring.targets import named_subjects
from rdc_sweeps.runs.directory import find_run
from rdc_sweeps.settings import Settings
from tests.monitoring.conftest import Bench

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


def settings(root: Path) -> Settings:
    return Settings(root=root, experiments=EXPERIMENTS, profile="demo")


def test_a_run_is_found_by_the_beginning_of_its_id(bench: Bench) -> None:
    one = bench.run(0, "planned")
    assert find_run(bench.root, one.id[:6]).id == one.id
    (bench.root / f"{one.id[:6]}ffff").mkdir()
    assert find_run(bench.root, one.id[:6]).id == one.id, "a folder without a spec is no run"
    (bench.root / f"{one.id[:6]}ffff" / "spec.yaml").touch()
    with pytest.raises(UsageError, match="is the beginning of"):
        find_run(bench.root, one.id[:6])
    for nothing in ("", "../x", "zzz", "*"):
        with pytest.raises(UsageError, match="no run"):
            find_run(bench.root / "nowhere", nothing)


def test_a_table_names_all_of_its_existing_runs(bench: Bench) -> None:
    seeds = [7, 9]
    found = {bench.run(seed, "planned", table="table3").id: seed for seed in seeds}
    bench.run(8, "planned", table="table2")
    bench.run(10, "planned", table="table3", study="covariance")
    subjects = named_subjects("table3", settings(bench.root))
    assert {one.run: one.seed for one in subjects} == found
    assert named_subjects("table3", settings(bench.root), seeds=[7]) == []


def test_what_is_no_table_is_a_run(bench: Bench, tmp_path: Path) -> None:
    one = bench.run(3, "planned")
    for experiments in (EXPERIMENTS, tmp_path / "none"):
        chosen = settings(bench.root).model_copy(update={"experiments": experiments})
        (subject,) = named_subjects(one.id[:8], chosen)
        assert (subject.run, subject.seed) == (one.id, 3)
    with pytest.raises(UsageError, match="no run 'table33'"):
        named_subjects("table33", settings(bench.root))
