"""Workers killed, stopped and frozen at random while they compete for the same runs: nothing is lost, done twice or
half written.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.dispatch.trainer import VIOLATION, Trainer, problems
from benchmarks.storm.runs import storm_over_runs
from benchmarks.storm.workers import SIGNALS, Workers
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.run import RunSpec
from tests.runs.writing import write_origin
from tests.training.small import SMALL


@pytest.mark.parametrize(
    "hosts",
    [pytest.param(1, marks=pytest.mark.slow, id="one host"), pytest.param(3, id="hosts without common locks")],
)
def test_a_storm_of_signals_over_many_workers_loses_and_doubles_nothing(tmp_path: Path, hosts: int) -> None:
    runs = [f"{number:016x}" for number in range(4)]
    for run in runs:
        directory = RunDirectory(tmp_path, run)
        request_run(directory, RunSpec())
        write_origin(directory, Origin(table="t", row="r", profile="p"))
    workers = Workers(tmp_path, runs, hosts=hosts, seed=hosts)
    workers.storm(blows=100, workers=5)
    workers.calm()
    assert not (tmp_path / VIOLATION).exists(), (tmp_path / VIOLATION).read_text()
    assert [problem for run in runs for problem in problems(Trainer(RunDirectory(tmp_path, run)))] == []


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 2])
def test_parents_die_and_the_disk_fills_while_runs_end(tmp_path: Path, hosts: int) -> None:
    storm = storm_over_runs(tmp_path, signals=60, runs=4, hosts=hosts, seed=hosts)
    assert storm.problems == []
    assert storm.signals >= 60
    assert storm.starts > storm.runs == storm.done


# Of real trainings.

ROWS = ("mtl", "ours", "patches")
SEEDS = "0-1"
EPOCHS = 4


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "experiments"
    (folder / "profiles").mkdir(parents=True)
    table: dict[str, Any] = {
        "table": "tiny",
        "title": "Small rows",
        "dataset": "rooms",
        "defaults": {**SMALL, "training": {"epochs": EPOCHS, "batch_size": 4}},
        "rows": [
            {"id": "mtl", "method": "MTL", "spec": {"method": {"name": "supervised"}}},
            {"id": "ours", "method": "RDC"},
            {"id": "patches", "method": "RDC", "spec": {"method": {"extraction": {"name": "patch"}}}},
        ],
    }
    (folder / "tiny.yaml").write_text(yaml.safe_dump(table))
    profile = {"profile": "small", "title": "Small", "selection": "last"}
    (folder / "profiles" / "small.yaml").write_text(yaml.safe_dump(profile))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RDC_SWEEP_", "WANDB_"))}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "RDC_SWEEP_CACHE_ROOT": str(tmp_path / "cache"),
        "RDC_SWEEP_EXPERIMENTS": str(folder),
        "RDC_SWEEP_PROFILE": "small",
        "RDC_SWEEP_ROOT": str(tmp_path / "runs"),
        "RDC_SWEEP_WANDB": "disabled",
        "RDC_SWEEP_DEVICE": "cpu",
        "RDC_SWEEP_THREADS": "1",
        "RDC_SWEEP_MAX_PARALLEL": "2",
        "RDC_SWEEP_HEARTBEAT": "0.1",
        "RDC_SWEEP_RETRIES": "10000",
        "OMP_NUM_THREADS": "1",
    }


class Sweeps:
    """Several `rdc-sweep run` and `rdc-sweep worker` commands on the same runs, and a hand that hits them."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment, self.folder = environment, folder
        self.root = Path(environment["RDC_SWEEP_ROOT"])
        self.random = random.Random(0)
        self.commands: list[subprocess.Popen[bytes]] = []
        self.frozen: set[int] = set()
        self.blows = 0

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "rdc_sweeps", *arguments]
        with (self.folder / "commands.log").open("ab") as log:
            self.commands.append(
                subprocess.Popen(
                    command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
                )
            )

    def keep_up(self) -> None:
        """Two sweeps and a worker of a random run, at all times."""
        self.commands = [command for command in self.commands if command.poll() is None]
        kinds = [command.args[3] for command in self.commands]  # type: ignore[index]
        for _ in range(2 - kinds.count("run")):
            self.start("run", "tiny", "--seeds", SEEDS, "--retry-failed")
        runs = [path.parent.name for path in self.root.glob("*/spec.yaml")]
        if runs and "worker" not in kinds:
            self.start("worker", self.random.choice(runs))

    def workers(self) -> list[int]:
        """Processes that say that they train."""
        found = []
        for path in self.root.glob("*/status.json"):
            status = json.loads(path.read_bytes())
            if status["state"] in {"starting", "training"} and Path(f"/proc/{status['process']}").exists():
                found.append(status["process"])
        return found

    def strike(self) -> None:
        """One blow: most hit a worker, some a whole command."""
        if self.frozen and self.random.random() < 0.5:
            self._send(self.frozen.pop(), signal.SIGCONT)
            return
        workers = self.workers()
        if not workers:
            return  # sweeps that are hit before they train would never come to it
        if self.random.random() < 0.95:
            number = self.random.choice(SIGNALS)
            process = self.random.choice(workers)
            if self._send(process, number):
                self.blows += 1
                if number == signal.SIGSTOP:
                    self.frozen.add(process)
        elif self.commands:
            command = self.random.choice(self.commands)
            if command.poll() is None:
                command.send_signal(self.random.choice([signal.SIGKILL, signal.SIGINT, signal.SIGTERM]))
                self.blows += 1

    @staticmethod
    def _send(process: int, number: signal.Signals) -> bool:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            return False
        return True

    def end(self) -> None:
        """Nothing of it stays behind."""
        for process in self.frozen:
            self._send(process, signal.SIGCONT)
        for command in self.commands:
            if command.poll() is None:
                command.terminate()
        for command in self.commands:
            command.wait(120)
        # Workers of a killed sweep continue without it.
        deadline = time.monotonic() + 60
        while self.workers() and time.monotonic() < deadline:
            for process in self.workers():
                self._send(process, signal.SIGTERM)
            time.sleep(0.2)


@contextmanager
def sweeping(environment: dict[str, str], folder: Path) -> Iterator[Sweeps]:
    sweeps = Sweeps(environment, folder)
    try:
        yield sweeps
    finally:
        sweeps.end()


def in_peace(environment: dict[str, str], folder: Path, **changes: str) -> None:
    command = [sys.executable, "-m", "rdc_sweeps", "run", "tiny", "--seeds", SEEDS, "--retry-failed"]
    ended = subprocess.run(
        command, env={**environment, **changes}, cwd=folder, capture_output=True, text=True, timeout=900
    )
    assert ended.returncode == 0, ended.stderr


def results(root: Path) -> dict[str, dict[str, Any]]:
    found = {path.parent.name: json.loads(path.read_bytes()) for path in root.glob("*/result.json")}
    for result in found.values():
        del result["seconds"], result["checksum"]
    return found


def overlaps(attempts: Sequence[dict[str, Any]]) -> bool:
    """Whether a worker that ended in order ended after the next one had started."""
    open_since: int | None = None
    for attempt in attempts:
        if attempt["event"] == "start":
            open_since = attempt["process"]
        elif attempt["process"] != open_since:
            return True
    return False


@pytest.mark.slow
def test_a_storm_over_real_trainings_leaves_the_results_of_an_undisturbed_sweep(
    environment: dict[str, str], tmp_path: Path
) -> None:
    # Not above: processes that know torch are slow to fork.
    import torch

    undisturbed = tmp_path / "undisturbed"
    in_peace(environment, tmp_path, RDC_SWEEP_ROOT=str(undisturbed))
    root = tmp_path / "runs"
    with sweeping(environment, tmp_path) as sweeps:
        deadline = time.monotonic() + 600
        while sweeps.blows < 60 and time.monotonic() < deadline:
            sweeps.keep_up()
            time.sleep(sweeps.random.uniform(0.02, 0.2))
            sweeps.strike()
            if len(results(root)) == len(results(undisturbed)):
                break
        assert sweeps.blows >= 30
    in_peace(environment, tmp_path)
    assert results(root) == results(undisturbed)
    starts = sum(path.read_text().count('"start"') for path in root.glob("*/attempts.jsonl"))
    assert starts > 2 * len(results(root)), "the storm passed by"
    for path in root.glob("*/spec.yaml"):
        folder = path.parent
        for name in folder.glob("*.json"):
            json.loads(name.read_bytes())
        events = list(read_events(folder / "events.jsonl"))
        assert [event["step"] for event in events if event["kind"] == "step"] == list(range(2 * EPOCHS))
        assert [event["epoch"] for event in events if event["kind"] == "epoch"] == list(range(EPOCHS))
        assert (folder / "events.jsonl").read_bytes() == (undisturbed / folder.name / "events.jsonl").read_bytes()
        attempts = [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()[1:]]
        assert not overlaps(attempts)
        saved, wanted = (
            torch.load(base / folder.name / "checkpoints" / "last.pt", weights_only=True)
            for base in (root, undisturbed)
        )
        assert all(torch.equal(saved["learner"][name], value) for name, value in wanted["learner"].items())
        assert not list(folder.glob(".*"))
        assert [*(folder / "checkpoints").iterdir()] == [folder / "checkpoints" / "last.pt"]
