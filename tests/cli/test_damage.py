"""A damaged file of one run hides no other run from any command, and the remedy that is named works."""

import json
import os
from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Attempt, Status
from rdc_sweeps.specs.catalogue import Catalogue
from tests.cli.conftest import Cli, Inside
from tests.cli.test_status import begin

RECORDS = ["status.json", "origin.json", "attempts.jsonl", "stopped.json", "failure.json", "result.json", "spec.yaml"]


def preempted(root: Path, experiments: Path, row: str) -> RunDirectory:
    """A run that was stopped at a checkpoint."""
    directory = begin(root, experiments, row)
    with acquire(directory) as owned:
        owned.write_attempt(Attempt.now("start"))
        owned.write_status(Status.of_this_process("preempted").model_copy(update={"steps": 4, "step": 2}))
    directory.checkpoint.parent.mkdir()
    directory.checkpoint.write_text("good")
    return directory


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("damage", ["empty", "pipe", "list"])
def test_one_damaged_file_hides_nothing(
    name: str, damage: str, inside: Inside, tmp_path: Path, experiments: Path
) -> None:
    directory = preempted(tmp_path / "runs", experiments, "ours")
    other = preempted(tmp_path / "runs", experiments, "mtl")
    path = directory.folder / name
    path.unlink(missing_ok=True)
    if damage == "pipe":
        os.mkfifo(path)
    else:
        path.write_text("" if damage == "empty" else "[1]")
    harmless = name in {"origin.json", "spec.yaml"}
    state = "preempted" if harmless else "damaged"
    shown = inside("status", "tiny")
    assert shown.code == 0
    assert f"1 preempted, 1 {state}" in shown.out or harmless
    for arguments in (["status"], ["status", "--json"], ["tables"], ["report", "tiny"], ["show", other.id]):
        answer = inside(*arguments)
        assert answer.code == 0, answer.err
    planned = {entry["row"]: entry for entry in json.loads(inside("run", "tiny", "-n", "--json").out)}
    assert planned["mtl"]["action"] == "resume"
    assert (planned["ours"]["state"], planned["ours"]["action"]) == (state, "resume" if harmless else "skip")
    assert harmless or f"{name}: is" in planned["ours"]["reason"]
    retried = json.loads(inside("run", "tiny", "ours", "-n", "--json", "--retry-failed").out)
    assert retried[0]["action"] == "resume"
    shown = inside("show", directory.id)
    assert shown.code == (2 if name == "spec.yaml" and damage == "pipe" else 0) or name == "spec.yaml"
    assert name in shown.err


def test_what_is_no_run_is_not_shown_as_one(inside: Inside, tmp_path: Path, experiments: Path) -> None:
    root = tmp_path / "runs"
    preempted(root, experiments, "ours")
    (root / ("0" * 16)).touch()
    os.mkfifo(root / ("1" * 16))
    (root / ("2" * 16)).symlink_to(root / ("2" * 16))
    (group,) = json.loads(inside("status", "--json").out)
    assert [run["row"] for run in group["runs"]] == ["ours"]


@pytest.mark.slow
def test_a_damaged_result_is_written_again_from_the_checkpoint(cli: Cli, tmp_path: Path, experiments: Path) -> None:
    (run,) = Catalogue(experiments).runs("tiny", "small", rows=["mtl"])
    directory = RunDirectory(tmp_path / "runs", run.id)
    assert cli("run", "tiny", "mtl").returncode == 0
    result = directory.result()
    assert result is not None
    path = directory.folder / "result.json"
    path.write_bytes(path.read_bytes().replace(b"mIoU", b"mIOU"))
    report = cli("report", "tiny", "--strict")
    assert report.returncode == 4
    assert "result.json: is damaged" in " ".join(report.stdout.split())
    refused = cli("run", "tiny", "mtl")
    assert refused.returncode == 1
    assert "result.json: is damaged" in refused.stderr
    assert cli("run", "tiny", "mtl", "--retry-failed").returncode == 0
    again = directory.result()
    assert again is not None
    assert (again.selected, again.history) == (result.selected, result.history)
