"""`rdc-sweep tune` as a user gives it, with real trainings of tiny networks."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.conftest import Cli
from tests.dispatch.slurm.scheduler import Scheduler

STUDY: dict[str, Any] = {
    "study": "small",
    "title": "A <small> study",
    "table": "tiny",
    "row": "ours",
    "set": {"method": {"contrast": {"name": "gaussian"}}},
    "objective": {"name": "metric", "metric": "aErr"},
    "space": {
        "method.contrast.temperature": {"log": [0.01, 100]},
        "method.contrast.covariance.shrinkage": {"uniform": [0, 1]},
    },
    "enqueue": [{}, {"method.contrast.temperature": 1.0}],
    "pruner": {"name": "none"},
    "trials": 3,
    "confirm": [1, 2],
}
WORKERS = ("--workers", "2", "--threads", "1")


@pytest.fixture
def sweeps(tmp_path: Path) -> Path:
    """A folder with one study; the working folder is above it."""
    folder = tmp_path / "sweeps"
    folder.mkdir()
    write(folder)
    return folder


def write(folder: Path, **changes: Any) -> None:
    (folder / "small.yaml").write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))


@pytest.mark.slow
def test_a_study_from_its_dry_run_to_its_report(cli: Cli, sweeps: Path, tmp_path: Path, experiments: Path) -> None:
    planned = json.loads(cli("tune", "small", "-n", "--json").stdout)
    assert not (tmp_path / "runs").exists()
    assert (planned["asked"], planned["finished"], planned["to_do"]) == (3, 0, 3)
    done = cli("tune", "small", *WORKERS, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "Traceback" not in done.stderr
    assert [trial["phase"] for trial in found["trials"]] == ["complete"] * 3
    assert [trial["runs"] for trial in found["trials"][:2]] == [one["runs"] for one in planned["tried_first"]]
    values = [trial["value"] for trial in found["trials"]]
    assert found["best"]["value"] == min(values)
    assert found["default"]["number"] == 0
    folder = tmp_path / "runs" / "studies" / "small-small"
    assert set(found["files"]) >= {"history.png", "slices.png", "contour.png", "intermediate.png", "report.html"}
    assert all((folder / name).stat().st_size > 1000 for name in found["files"])
    # The choice is confirmed by ordinary runs with other seeds, beside the untuned row.
    assert found["confirmed"]
    rows = {row["id"]: row for row in found["confirmation"]["rows"]}
    assert set(rows) == {"ours", "ours-tuned"}
    assert [one["seed"] for one in rows["ours-tuned"]["outcomes"]] == [1, 2]
    command = shlex.split(found["command"])[1:]
    entries = json.loads(cli(*command, "-n", "--json").stdout)
    assert [entry["run"] for entry in entries] == [one["run"] for one in rows["ours-tuned"]["outcomes"]]
    assert {entry["state"] for entry in entries} == {"done"}
    # Once more: nothing is left to do.
    again = cli("tune", "small", *WORKERS)
    assert again.returncode == 0
    assert "all 3 trials are finished" in again.stderr
    assert "ours-tuned" in again.stdout
    assert f"  {found['command']}" in again.stdout.splitlines()
    assert "3 trials requested, 3 finished, 0 to do" in cli("tune", "small", "-n").stderr
    # The row to paste into the table is the choice.
    table = experiments / "tiny.yaml"
    data = yaml.safe_load(table.read_text())
    table.write_text(table.read_text().replace("rows:\n", f"rows:\n{found['row_yaml']}", 1))
    assert [row["id"] for row in yaml.safe_load(table.read_text())["rows"]] == ["ours-tuned", "mtl", "ours"]
    assert len(data["rows"]) == 2
    assert cli("validate").returncode == 0
    pasted = json.loads(cli("run", "tiny", "ours-tuned", "--seeds", "1,2", "-n", "--json").stdout)
    assert [entry["run"] for entry in pasted] == [entry["run"] for entry in entries]
    drawn = cli("tune", "small", "--report", "--json")
    assert json.loads(drawn.stdout)["confirmed"]


@pytest.mark.slow
def test_an_interrupted_study_resumes_and_gets_the_requested_number_of_trials(
    cli: Cli, sweeps: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    longer = ("--set", "training.epochs=30", "--no-confirm")
    first = subprocess.Popen(
        [sys.executable, "-m", "rdc_sweeps", "tune", "small", "--trials", "2", *WORKERS, *longer],
        env=environment,
        cwd=tmp_path,
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    workers = wait_for_training(tmp_path / "runs", 2)
    os.kill(workers[0]["process"], signal.SIGKILL)  # is replaced
    wait_for_training(tmp_path / "runs", 1, but=[one["process"] for one in workers])
    os.killpg(first.pid, signal.SIGINT)
    _, messages = first.communicate(timeout=120)
    assert first.returncode == 130, messages
    assert "Traceback" not in messages
    states = json.loads(cli("status", "--study", "small-small", "--json").stdout)
    found = {run["state"] for group in states for run in group["runs"]}
    # The other one may have ended while the killed one was replaced.
    assert "preempted" in found
    assert found <= {"preempted", "planned", "done"}
    second = cli("tune", "small", "--trials", "2", *WORKERS, *longer, "--json")
    assert second.returncode == 0, second.stderr
    study = json.loads(second.stdout)
    assert [(trial["number"], trial["phase"]) for trial in study["trials"]] == [(0, "complete"), (1, "complete")]
    assert study["confirmation"]["missing"]


def wait_for_training(root: Path, count: int, but: Collection[int] = ()) -> list[dict[str, Any]]:
    """The heartbeats of this many trainings by other processes than these."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = [json.loads(path.read_text()) for path in root.glob("*/status.json")]
        training = [one for one in found if one["state"] == "training" and one["step"] and one["process"] not in but]
        if len(training) >= count:
            return training
        time.sleep(0.02)
    raise TimeoutError(f"there were never {count} trainings")


def test_the_dry_run_imports_nothing_heavy(sweeps: Path, environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['rdc-sweep', 'tune', 'small', '-n']\n"
        "from rdc_sweeps.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print([name for name in ('torch', 'wandb', 'optuna', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    assert lines[0] == "study small-small: A <small> study"
    assert "method.contrast.temperature           0.01 to 100, logarithmic  5.4" in " ".join(done.stdout.split("\n"))
    assert any(line.startswith("tried first: temperature 1, shrinkage 0.1: seed 0 ") for line in lines)


def fails(cli: Cli, *arguments: str, code: int) -> str:
    failed = cli("tune", *arguments)
    assert failed.returncode == code, failed.stderr
    assert "Traceback" not in failed.stderr
    assert failed.stdout == ""
    return failed.stderr


def test_problems_of_a_study_are_reported_together_before_anything_is_created(
    cli: Cli, sweeps: Path, tmp_path: Path
) -> None:
    write(sweeps, trials=0, pruner={"name": "medain"}, confirm=[0])
    said = fails(cli, "small", code=3)
    assert f"{Path('sweeps') / 'small.yaml'}:" in said
    assert all(word in said for word in ("trials", "median", "confirm"))
    write(sweeps, space={"method.contrast.temprature": {"log": [0.01, 100]}})
    assert "did you mean 'temperature'?" in fails(cli, "small", code=3)
    write(sweeps, set={"dataset": {"validation_images": 0}})
    assert "dataset.validation_images" in fails(cli, "small", code=3)
    (sweeps / "small.yaml").write_text("study: [")
    assert "small.yaml" in fails(cli, "small", code=3)
    assert not (tmp_path / "runs").exists()


def test_a_study_that_cannot_be_confirmed_is_not_started(cli: Cli, sweeps: Path, tmp_path: Path) -> None:
    # Nothing names the contrast, of which --set would change a field.
    write(sweeps, set={})
    assert "method.contrast.name" in fails(cli, "small", code=3)
    assert not (tmp_path / "runs").exists()


def test_names_that_do_not_exist(cli: Cli, sweeps: Path, tmp_path: Path) -> None:
    assert "did you mean 'small'?" in fails(cli, "smal", code=2)
    assert "nowhere.yaml" in fails(cli, "nowhere.yaml", code=3)
    assert "no row of tiny 'theirs'" in fails(cli, "small", "--row", "theirs", code=2)
    assert "no study 'small-small'" in fails(cli, "small", "--report", code=2)
    assert "plain name" in fails(cli, "small", "--study", "../other", code=2)
    assert "--trials" in fails(cli, "small", "--trials", "0", code=2)
    assert "0 is a seed of the trials" in fails(cli, "small", "--seeds", "0,1", code=3).replace("seed 1", "0")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_another_study_under_the_same_name(cli: Cli, sweeps: Path, tmp_path: Path) -> None:
    fields = ("dataset.name=nyuv2", "dataset.size=[64, 96]", "dataset.validation_images=4")
    stop = ("--study", "one", *(word for field in fields for word in ("--set", field)))
    said = fails(cli, "small", *stop, code=1)
    assert "RDC_SWEEP_NYUV2_ROOT" in said  # the study is there, its data is not
    write(sweeps, space={"method.contrast.temperature": {"log": [0.1, 10]}})
    said = fails(cli, "small", *stop, code=2)
    assert "study one in" in said
    assert "--study NAME" in said
    assert "space.method.contrast.temperature" in said


def test_a_storage_that_cannot_be_reached_or_is_none(cli: Cli, sweeps: Path) -> None:
    said = fails(cli, "small", "--storage", "postgresql://me:secret@127.0.0.1:1/trials", code=5)
    assert "127.0.0.1" in said
    assert "secret" not in said
    assert "--storage" in fails(cli, "small", "--storage", "mysql://127.0.0.1/trials", code=2)


@pytest.mark.parametrize("package", ["optuna", "jinja2"])
def test_a_missing_package_is_named_with_the_extra_that_has_it(
    sweeps: Path, environment: dict[str, str], tmp_path: Path, package: str
) -> None:
    code = (
        f"import sys; sys.modules['{package}'] = None; sys.argv = ['rdc-sweep', 'tune', 'small']\n"
        "from rdc_sweeps.cli.main import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"tuning needs {package}: pip install -e '.[tune]' in the checkout" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_study_on_slurm(cli: Cli, sweeps: Path, tmp_path: Path) -> None:
    scheduler = Scheduler(tmp_path / "scheduler")

    def tune() -> subprocess.CompletedProcess[str]:
        where = {"PATH": scheduler.path, "RDC_SWEEP_CACHE_ROOT": str(tmp_path / "cache")}
        done = cli("tune", "small", "--executor", "slurm", "--node", "cpu", "--workers", "2", **where)
        assert done.returncode == 0, done.stderr
        return done

    def carry_out(job: str, *tasks: int | None) -> None:
        for task in tasks:
            assert scheduler.execute(job, task) == 0, (scheduler.state / "output").read_text()
            scheduler.set_state(job, "N/A" if task is None else task, "COMPLETED")

    assert "submitted 2 workers for 3 trials as Slurm job" in tune().stderr
    preparation, array = scheduler.jobs()
    assert "study small-small: 0 workers running, 2 pending in Slurm" in tune().stderr
    assert len(scheduler.jobs()) == 2
    carry_out(preparation, None)
    carry_out(array, 0, 1)
    confirming = tune()
    assert "all 3 trials are finished" in confirming.stderr
    # The choice may be the untuned row.
    found = re.search("submitted ([24]) runs as Slurm job", confirming.stderr)
    assert found
    carry_out(list(scheduler.jobs())[-1], *range(int(found.group(1))))
    assert "ours-tuned" in tune().stdout
    assert len(scheduler.jobs()) == 3
