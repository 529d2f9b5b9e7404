"""Commands that watch what they train: never slowed or failed by it."""

import subprocess
import sys
import time

import pytest

import rdc_sweeps.notifications.watching
from rdc_sweeps.notifications.passes import notify
from rdc_sweeps.notifications.sweeps import Sweeps
from rdc_sweeps.notifications.watching import SweepWatch
from rdc_sweeps.processes.environment import program_environment
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Notify, Settings
from tests.monitoring.conftest import Bench
from tests.notifications.conftest import Inbox


def watched(
    bench: Bench, notify: Notify, runs: list[RunDirectory], warnings: list[str], *, waits: bool = True
) -> SweepWatch:
    settings = Settings(root=bench.root, notify=notify)
    return SweepWatch(settings, "table3", "report", runs=[run.id for run in runs], waits=waits, warn=warnings.append)


def test_the_end_is_told_by_a_pass_of_its_own_process(bench: Bench, inbox: Inbox) -> None:
    warnings: list[str] = []
    run = bench.run(0, "planned")
    with watched(bench, inbox.notify(), [run], warnings):
        bench.run(0, "done")
    assert (inbox.titles, warnings) == (["table3 has ended: 1 done"], [])
    assert "sent: table3 has ended" in (bench.root / "notifications" / "log.txt").read_text()


def test_failures_are_told_while_others_still_train(
    bench: Bench, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rdc_sweeps.notifications.watching, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(rdc_sweeps.notifications.watching, "SHARE", 0)
    runs = [bench.run(seed, "planned") for seed in range(2)]
    warnings: list[str] = []

    def train() -> None:
        with watched(bench, inbox.notify(), runs, warnings):
            bench.run(0, "failed")
            deadline = time.monotonic() + 60
            while not inbox.titles and time.monotonic() < deadline:
                time.sleep(0.1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    # Whoever interrupts knows.
    assert inbox.titles == ["table3/row seed 0 failed"]
    assert Sweeps(bench.root).own() == []


def test_a_hanging_notifier_delays_a_command_only_at_its_end_and_for_a_bounded_time(
    bench: Bench, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rdc_sweeps.notifications.watching, "LAST_SECONDS", 4.0)
    warnings: list[str] = []
    with watched(bench, inbox.notify(then="sleep 100", timeout=90), [bench.run(0, "planned")], warnings):
        bench.run(0, "done")
        ended = time.monotonic()
    assert time.monotonic() - ended < 30
    assert "a pass was ended after 4 s" in warnings[0]


def test_a_notifier_that_fails_is_a_warning(bench: Bench) -> None:
    warnings: list[str] = []
    with watched(bench, Notify(command=("false",)), [bench.run(0, "planned")], warnings):
        bench.run(0, "done")
    assert len(warnings) == 1
    assert "not all notifications were sent" in warnings[0]
    assert len(Sweeps(bench.root).own()) == 1


def test_a_folder_that_cannot_be_written_is_a_warning(bench: Bench, inbox: Inbox) -> None:
    warnings: list[str] = []
    run = bench.run(0, "planned")
    (bench.root / "notifications").write_text("a file where the folder should be")
    with watched(bench, inbox.notify(), [run], warnings):
        trained = True
    assert trained
    assert len(warnings) == 1


@pytest.mark.parametrize("state", ["done", "planned"])
def test_nothing_is_written_where_nothing_is_to_be_told(state: str, bench: Bench, inbox: Inbox) -> None:
    run = bench.run(0, state)
    notify = inbox.notify() if state == "done" else Notify()
    with watched(bench, notify, [run], []):
        pass
    assert not (bench.root / "notifications").exists()


def test_what_slurm_trains_is_watched_on(bench: Bench, inbox: Inbox) -> None:
    with watched(bench, inbox.notify(), [bench.run(0, "planned")], [], waits=False):
        pass
    (sweep,) = Sweeps(bench.root).own()
    assert (sweep.slurm, sweep.ended) == (True, False)
    assert inbox.titles == []


def test_a_failed_submission_is_not_watched(bench: Bench, inbox: Inbox) -> None:
    with (
        pytest.raises(OSError, match="sbatch"),
        watched(bench, inbox.notify(), [bench.run(0, "planned")], [], waits=False),
    ):
        raise OSError("sbatch")
    assert Sweeps(bench.root).own() == []


DYING = """
import os, sys
from pathlib import Path
from rdc_sweeps.notifications.watching import SweepWatch
from rdc_sweeps.settings import Notify, Settings

settings = Settings(root=Path(sys.argv[1]), notify=Notify(command=("false",)))
with SweepWatch(settings, "table3", "report", runs=[sys.argv[2]], waits=True):
    os.kill(os.getpid(), 9)
"""


def test_a_command_that_is_killed_leaves_its_sweep_to_other_passes(bench: Bench, inbox: Inbox) -> None:
    run = bench.run(0, "planned")
    done = subprocess.run([sys.executable, "-c", DYING, str(bench.root), run.id], env=program_environment())
    assert done.returncode == -9
    run.events.touch()
    time.sleep(0.2)
    # It trained for a while, and then nothing moved.
    assert len(notify(bench.root, inbox.notify(stalled_minutes=0.001)).sent) == 1
    assert notify(bench.root, inbox.notify(stalled_minutes=0.001)).sent == []
    assert inbox.titles == ["table3: nothing has moved for 0 minutes"]
