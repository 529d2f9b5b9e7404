"""Passes: everything once by each channel, whatever fails and whoever is killed."""

import os
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rdc_sweeps.notifications.passes
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.files import try_lock, unlock
from rdc_sweeps.notifications.channels import Channel
from rdc_sweeps.notifications.messages import Message
from rdc_sweeps.notifications.passes import ATTEMPTS, notify
from rdc_sweeps.notifications.sweeps import Sweeps
from rdc_sweeps.processes.environment import PYTHON_COMMAND, program_environment
from rdc_sweeps.settings import Notify, Settings
from tests.monitoring.conftest import Bench
from tests.notifications.conftest import Inbox, fail, watch


def test_failures_and_the_end_are_told_once(bench: Bench, inbox: Inbox) -> None:
    runs = [bench.run(seed, "planned") for seed in range(3)]
    watch(bench.root, *runs)
    assert notify(bench.root, inbox.notify()).sent == []
    fail(bench.run(0, "planned"))
    for _ in range(2):
        notify(bench.root, inbox.notify())
        assert inbox.titles == ["table3/row seed 0 failed"]
    bench.run(1, "done")
    bench.run(2, "done")
    for _ in range(2):
        notify(bench.root, inbox.notify())
        assert inbox.titles[1:] == ["table3 under profile demo has ended: 2 done, 1 failed"]
    assert Sweeps(bench.root).own() == []


def test_after_a_restart_only_what_is_new_is_told(bench: Bench, inbox: Inbox) -> None:
    run, other = bench.run(0, "planned"), bench.run(1, "done")
    for number in (1, 2):
        # The same cause another time is another failure.
        watch(bench.root, run, other)
        fail(run)
        notify(bench.root, inbox.notify())
        assert len(inbox.titles) == 2 * number
        # A restart of what has ended, with nothing to do.
        sweep = watch(bench.root, run, other)
        Sweeps(bench.root).end(sweep)
        notify(bench.root, inbox.notify())
        assert len(inbox.titles) == 2 * number


def test_only_the_occasions_that_are_asked_for_are_told(bench: Bench, inbox: Inbox) -> None:
    run = bench.run(0, "planned")
    watch(bench.root, run)
    fail(run)
    notify(bench.root, inbox.notify(occasions=("ended",)))
    assert inbox.titles == ["table3 under profile demo has ended: 1 failed"]


@pytest.mark.slow
def test_a_pass_that_is_killed_after_sending_sends_again_and_not_forever(bench: Bench, inbox: Inbox) -> None:
    run = bench.run(0, "done")
    Sweeps(bench.root).end(watch(bench.root, run))
    chosen = Settings(root=bench.root, notify=inbox.notify(then="kill -9 $PPID"))
    for number in range(1, ATTEMPTS + 2):
        done = pass_of(chosen)
        assert done.returncode == (-9 if number <= ATTEMPTS else 0), done.stderr
        assert len(inbox.titles) == min(number, ATTEMPTS)


def test_one_that_is_killed_once_is_made_up_for(bench: Bench, inbox: Inbox, tmp_path: Path) -> None:
    Sweeps(bench.root).end(watch(bench.root, bench.run(0, "done")))
    once = f"[ -e {tmp_path}/killed ] || {{ touch {tmp_path}/killed; kill -9 $PPID; }}"
    chosen = Settings(root=bench.root, notify=inbox.notify(then=once))
    assert [pass_of(chosen).returncode for _ in range(3)] == [-9, 0, 0]
    assert len(inbox.titles) == 2
    assert Sweeps(bench.root).own() == []


def pass_of(chosen: Settings) -> "subprocess.CompletedProcess[str]":
    """A pass in a process of its own, as commands start it."""
    return subprocess.run(
        [*PYTHON_COMMAND, "-m", "rdc_sweeps", "notify", "--settings", "/dev/stdin"],
        input=chosen.model_dump_json(),
        env=program_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_passes_at_the_same_time_send_once(bench: Bench, inbox: Inbox) -> None:
    runs = [bench.run(seed, "done") for seed in range(2)]
    Sweeps(bench.root).end(watch(bench.root, *runs))
    problems: list[str] = []
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait()
        problems.extend(notify(bench.root, inbox.notify(then="sleep 0.2")).problems)

    passes = [threading.Thread(target=send) for _ in range(4)]
    for one in passes:
        one.start()
    for one in passes:
        one.join()
    assert problems == []
    assert len(inbox.titles) == 1


def test_a_pass_gives_up_waiting_for_another(bench: Bench, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdc_sweeps.notifications.passes, "PATIENCE_SECONDS", 0.2)
    watch(bench.root, bench.run(0, "done"))
    held = try_lock(bench.root / "notifications" / "lock")
    assert held is not None
    with pytest.raises(UnavailableError, match="another pass"):
        notify(bench.root, inbox.notify())
    unlock(held)


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rdc_sweeps.notifications.passes, "PAUSES", (0.0,) * (ATTEMPTS - 1))


def test_a_channel_that_failed_is_left_alone_for_a_while(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Sweeps(bench.root).end(watch(bench.root, bench.run(0, "done")))
    flaky = Notify(command=("sh", "-c", f"echo x >> {tmp_path}/tried; exit 1"))
    assert "exit code 1; 4 more attempts" in notify(bench.root, flaky).problems[0]
    (problem,) = notify(bench.root, flaky).problems
    assert "exit code 1; next attempt in 1 minutes at the earliest" in problem
    assert (tmp_path / "tried").read_text() == "x\n"
    # The same channel reaches its end once it works again, and its pause is over.
    monkeypatch.setattr(rdc_sweeps.notifications.passes, "PAUSES", (0.0,) * (ATTEMPTS - 1))
    assert len(notify(bench.root, Notify(command=("true",))).sent) == 1
    assert notify(bench.root, flaky).problems == []


@pytest.mark.usefixtures("without_pauses")
def test_a_channel_that_fails_is_tried_again_without_the_others(bench: Bench, inbox: Inbox, tmp_path: Path) -> None:
    Sweeps(bench.root).end(watch(bench.root, bench.run(0, "done")))
    broken = inbox.notify(webhook_file=tmp_path / "none")
    first = notify(bench.root, broken)
    assert (len(first.sent), len(first.problems)) == (1, 1)
    assert "webhook_file" in first.problems[0]
    assert "4 more attempts" in first.problems[0]
    problems = [notify(bench.root, broken).problems for _ in range(ATTEMPTS)]
    assert "given up" in problems[ATTEMPTS - 2][0]
    assert problems[ATTEMPTS - 1] == []
    assert len(inbox.titles) == 1
    assert Sweeps(bench.root).own() == []


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8))
def test_each_channel_succeeds_once_or_is_given_up(outcomes: list[tuple[bool, bool]]) -> None:
    calls: dict[str, list[bool]] = {"a": [], "b": []}

    class Scripted(Channel):
        """Succeeds as drawn."""

        def send(self, message: Message, seconds: float) -> str | None:
            good = outcome[self.name]
            calls[self.name].append(good)
            return None if good else "failed"

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        bench = Bench(Path(folder))
        found = [Scripted("a", (), own=True), Scripted("b", (), own=True)]
        patch.setattr(rdc_sweeps.notifications.passes, "channels", lambda *_: found)
        patch.setattr(rdc_sweeps.notifications.passes, "PAUSES", (0.0,) * (ATTEMPTS - 1))
        Sweeps(bench.root).end(watch(bench.root, bench.run(0, "done")))
        for a, b in outcomes:
            outcome = {"a": a, "b": b}
            notify(bench.root, Notify(command=("x",)))
        for place, name in enumerate("ab"):
            wanted: list[bool] = []
            for drawn in outcomes:
                if True not in wanted and len(wanted) < ATTEMPTS:
                    wanted.append(drawn[place])
            assert calls[name] == wanted
        settled = all(True in calls[name] or len(calls[name]) == ATTEMPTS for name in "ab")
        assert (Sweeps(bench.root).own() == []) == settled


def test_sweeps_of_others_and_damaged_records_are_left_alone(bench: Bench, inbox: Inbox) -> None:
    sweep = watch(bench.root, bench.run(0, "done"), user="somebody else")
    Sweeps(bench.root).end(sweep)
    (Sweeps(bench.root).folder / "x.json").write_text("{")
    os.mkfifo(bench.root / "notifications" / "pipe")
    assert notify(bench.root, inbox.notify()).sent == []
    assert (Sweeps(bench.root).folder / f"{sweep.id}.json").exists()


def test_a_folder_without_sweeps_stays_empty(tmp_path: Path, inbox: Inbox) -> None:
    assert notify(tmp_path, inbox.notify()).sent == []
    assert list(tmp_path.iterdir()) == []
