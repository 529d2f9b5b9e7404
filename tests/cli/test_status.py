import json
import os
import subprocess
import sys
import time
from pathlib import Path

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Failure, Origin, Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Catalogue
from tests.cli.conftest import Cli
from tests.runs.writing import write_failure, write_origin, write_status


def begin(root: Path, experiments: Path, row: str) -> RunDirectory:
    """A run of the table that a worker is training."""
    (run,) = Catalogue(experiments).runs("tiny", "small", rows=[row])
    directory = RunDirectory(root, run.id)
    request_run(directory, run.spec)
    write_origin(directory, Origin(table="tiny", row=row, profile="small"))
    heartbeat = Status.of_this_process("training")
    write_status(directory, heartbeat.model_copy(update={"epoch": 1, "epochs": 2, "step": 2, "steps": 4, "rate": 0.1}))
    return directory


def test_a_table_is_shown_with_states_places_and_causes(cli: Cli, tmp_path: Path, experiments: Path) -> None:
    failed = begin(tmp_path / "runs", experiments, "ours")
    write_failure(failed, Failure(cause="disk full", traceback="", time=0, host=""))
    with exclusive(begin(tmp_path / "runs", experiments, "mtl")):
        shown = cli("status", "tiny", "--seeds", "0,1")
        entries = json.loads(cli("status", "tiny", "--json").stdout)
        everything = cli("status")
    assert shown.returncode == 0
    assert "4 runs: 1 running, 2 planned, 1 failed; about 0:20 left" in shown.stdout
    assert "✗ ours seed 0: disk full" in shown.stdout
    assert os.uname().nodename in shown.stdout
    (group,) = entries
    assert group["counts"] == {"running": 1, "failed": 1}
    assert [(run["row"], run["state"], run["progress"], run["cause"]) for run in group["runs"]] == [
        ("mtl", "running", 0.5, None),
        ("ours", "failed", 0.5, "disk full"),
    ]
    assert "tiny under profile small" in everything.stdout


def test_status_of_a_missing_folder_prints_only_a_message(cli: Cli, tmp_path: Path) -> None:
    shown = cli("status")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert "no runs in" in shown.stderr
    assert json.loads(cli("status", "--json").stdout) == []
    assert not (tmp_path / "runs").exists()


def test_options_that_do_not_fit_are_usage_errors(cli: Cli) -> None:
    assert cli("status", "tiny", "--study", "x").returncode == 2
    assert cli("status", "--seeds", "1").returncode == 2
    assert "did you mean 'tiny'" in cli("status", "tinny").stderr


def test_watching_off_a_terminal_tells_changes_and_ends_with_the_last_run(
    environment: dict[str, str], tmp_path: Path, experiments: Path
) -> None:
    directory = begin(tmp_path / "runs", experiments, "ours")
    with exclusive(directory):
        watching = subprocess.Popen(
            [sys.executable, "-m", "rdc_sweeps", "status", "--watch"],
            env=environment, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert watching.stdout is not None
        assert watching.stdout.readline() == "tiny/ours seed 0: running, epoch 1 of 2\n"
    assert watching.stdout.readline() == "tiny/ours seed 0: preempted, epoch 1 of 2\n"
    time.sleep(0.1)
    write_failure(directory, Failure(cause="disk full", traceback="", time=0, host=""))
    rest, errors = watching.communicate(timeout=60)
    assert rest == "tiny/ours seed 0: failed, epoch 1 of 2: disk full\n"
    assert (watching.returncode, errors) == (0, "")
