"""Collecting runs, storing them, and adding those collected at another time."""

from pathlib import Path

import pytest

from benchmarks.findings.claims import CLAIMS, claim_records
from benchmarks.findings.collection import collect
from benchmarks.findings.comparisons import counted_runs
from benchmarks.findings.records import Results, read_results, write_results
from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Result, Selected
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.findings.made_up import results, run, table
from tests.runs.writing import write_result

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(EXPERIMENTS)


def finish(one: Run, root: Path, miou: float) -> None:
    metrics: MetricValues = {"mIoU": miou, "pixAcc": 50.0, "aErr": 0.7, "mErr": 40.0}
    held_out: MetricValues = {**metrics, "mIoU": miou + 1}
    chosen = {"best-validation": Selected(epoch=5, metrics=metrics, validation=held_out), "last": None}
    directory = RunDirectory(root, one.id)
    write_result(
        directory,
        Result(run=one.id, selected=chosen, epochs=8, images=400, parameters=10, seconds=61.23, device="cpu"),
    )


def test_finished_runs_are_collected_and_all_others_reported(catalogue: Catalogue, tmp_path: Path) -> None:
    first, second = catalogue.runs("findings", "cpu", rows=["one-mtl"], seeds=[0, 1])
    finish(first, tmp_path, 18.0)
    found, missing = collect(catalogue, "cpu", [0, 1], tmp_path, "one")
    (one,) = found.runs
    assert (one.row, one.seed, one.run, one.epoch, one.images, one.seconds) == ("one-mtl", 0, first.id, 6, 400, 61.2)
    assert one.test == {"mIoU": 18.0, "aErr": 0.7, "mErr": 40.0}
    assert one.validation is not None
    assert one.validation["mIoU"] == 19.0
    rows = {row.id: row for row in found.tables[0].rows}
    assert [table.table for table in found.tables] == ["findings"], "that has a run"
    assert len(missing) == 2 * len(rows) - 1
    assert (second.id, "not started") in {(lost.run, lost.cause) for _, lost in missing}
    assert {table for table, _ in missing} == {"findings"}
    assert rows["one-mtl"].spec == first.id, "the id with seed 0"
    assert found.uncounted() == []


def test_runs_collected_later_are_added_and_replace_their_own(tmp_path: Path) -> None:
    earlier = results(run("mtl", 0, 10.0), run("mtl", 1, 11.0), seeds=(0, 1))
    later = Results(tables=(table((1, 2)),), runs=(run("mtl", 1, 21.0), run("rdc", 1, 31.0)))
    merged = earlier.merged(later)
    assert {(one.row, one.seed): one.test["mIoU"] for one in merged.runs} == {
        ("mtl", 0): 10.0,
        ("mtl", 1): 21.0,
        ("rdc", 1): 31.0,
    }
    assert merged.tables[0].seeds == (0, 1, 2)
    write_results(tmp_path / "results.json", merged)
    assert read_results(tmp_path / "results.json") == merged


def test_the_order_of_collecting_does_not_change_what_is_stored() -> None:
    one, other = results(run("mtl", 0)), results(run("rdc", 0))
    assert one.merged(other) == other.merged(one)


def test_runs_of_a_spec_that_its_row_no_longer_has_are_kept_and_not_counted() -> None:
    old = run("rdc", 0, run="old", spec="old-spec")
    merged = results(old).merged(results(run("rdc", 1)))
    assert old in merged.runs
    assert merged.uncounted() == [old]
    assert list(counted_runs(merged, merged.tables[0])["rdc"]) == [1]


def test_a_run_that_is_stored_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_results(path, results(run("mtl", 3)))
    path.write_text(path.read_text().replace('"runs": [', '"runs": [' + run("mtl", 3, 5.0).model_dump_json() + ","))
    with pytest.raises(UsageError, match=r"results\.json: .*twice: findings cpu mtl seed 3"):
        read_results(path)


@pytest.mark.parametrize("content", ["", "{", '{"runs": [{}]}', '{"runs": NaN}'])
def test_damaged_results_are_refused_with_their_place(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(UsageError, match=r"results\.json: .*version control"):
        read_results(tmp_path / "results.json")


def test_claims_are_put_to_pairs_of_rows_that_differ_in_nothing_else(catalogue: Catalogue) -> None:
    pairs = {(one.claim, one.better, one.worse) for one in claim_records(catalogue.runs("table3", "cpu"))}
    regions = {pair[1:] for pair in pairs if pair[0].startswith("regions")}
    assert ("one-region-gaussian", "one-patch-gaussian") in regions
    assert all(better.replace("region", "patch") == worse for better, worse in regions)
    assert {pair[1:] for pair in pairs if "vectors" in pair[0]} == {
        (f"{name}-gaussian", f"{name}-vector") for name in ("one-region", "one-patch", "rand-region", "rand-patch")
    }


@pytest.mark.parametrize("profile", ["paper", "cpu"])
def test_the_findings_have_rows_for_every_claim(catalogue: Catalogue, profile: str) -> None:
    found = claim_records(catalogue.runs("findings", profile))
    assert {one.claim for one in found} == {claim.text for claim in CLAIMS}
    pairs = {(one.better, one.worse) for one in found}
    assert ("one-rdc", "one-patch") in pairs
    assert not {row for pair in pairs for row in pair} & {"one-images", "one-control"}, "not the paper's method"


def test_the_claims_of_the_paper_have_rows_in_its_tables(catalogue: Catalogue) -> None:
    runs = [run for name in ("table1", "table5", "table6") for run in catalogue.runs(name, "paper")]
    semantic = catalogue.runs("table4", "paper", rows=["full-semlabel-gaussian"])
    assert {one.claim for one in claim_records([*runs, *semantic])} == {claim.text for claim in CLAIMS}
