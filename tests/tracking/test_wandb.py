"""What reaches W&B: the real library against a server on loopback."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import rdc_sweeps.tracking.tracker
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.tracking.mode import resolve_mode
from rdc_sweeps.tracking.supervisor import is_sent, upload
from rdc_sweeps.tracking.uploader import RESULT_SECONDS
from tests.tracking import training
from tests.tracking.backend import Backend, Fault
from tests.tracking.conftest import KEY
from tests.tracking.observing import assert_complete, half_sent, uploaders_of, wait_for
from tests.tracking.training import IDENTITY, RUN, Node, loss, miou, result

ROOT = Path(__file__).parents[2]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def killed_training(folder: Path, mode: str, ready: Callable[[], bool]) -> None:
    """Train 35 steps in a process of its own and kill that with -9 once `ready()`."""
    process = subprocess.Popen(
        [sys.executable, training.__file__, str(folder), mode],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("trained")
        wait_for(ready)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_a_run_online(backend: Backend, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    warnings: list[str] = []
    node = Node(tmp_path / "runs", resolve_mode(None), warn=warnings.append)
    node.start()
    node.train(0, 25)
    node.finish("done")

    assert warnings == []
    assert_complete(backend, 25)
    run = backend.runs[RUN]
    assert (run.project, run.groupName, run.jobType) == ("rdc-sweeps", "table3", "region_contrast")
    assert run.displayName == "table3/region_contrast seed 0"
    assert run.tags == ["table3", "cpu"]
    assert run.settings() == training.CONFIG
    assert run.exit_code == 0
    assert run.summary()["best-test/mIoU"] == 21.0
    assert run.summary()["test/mIoU"] == miou(1)
    axis = {'"1":"test/mIoU"', '"1":"epoch"'}
    assert all(part in run.config for part in axis)

    # Nothing of the user's is taken along, nothing is printed, nothing is left outside of the run directory.
    assert not any(name.endswith((".py", ".patch", "requirements.txt")) for name in run.files)
    assert capfd.readouterr() == ("", "")
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "home"}
    assert not any(KEY.encode() in path.read_bytes() for path in files_of(tmp_path))
    assert KEY not in run.config


def test_a_run_offline_without_a_key_and_its_upload_later(
    environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    node = Node(tmp_path, resolve_mode(None), warn=warnings.append)
    node.start()
    node.train(0, 12)
    node.finish("done")
    assert warnings == []
    assert len(list((tmp_path / RUN / "wandb").glob(f"offline-run-*-{RUN}/run-{RUN}.wandb"))) == 1

    with Backend() as backend:
        monkeypatch.setenv("WANDB_BASE_URL", backend.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        for _ in range(2):
            upload(RunDirectory(tmp_path, RUN))
            assert_complete(backend, 12)
        assert backend.runs[RUN].exit_code == 0
        assert backend.runs[RUN].summary()["best-test/mIoU"] == 21.0


def test_disabled_logs_and_leaves_nothing_of_wandb(environment: None, tmp_path: Path) -> None:
    node = Node(tmp_path, "disabled")
    node.start()
    node.train(0, 12)
    node.finish("done")
    assert not node.run.wandb.exists()
    assert len(list(read_events(node.run.events))) == 12 + 2 + 1


def test_killed_and_resumed_online(backend: Backend, tmp_path: Path) -> None:
    killed_training(tmp_path, "online", lambda: RUN in backend.runs and len(backend.runs[RUN].history) >= 34)
    node = Node(tmp_path, "online")
    node.start(27)
    node.train(27, 50)
    node.finish("done")
    assert_complete(backend, 50)
    assert backend.runs[RUN].exit_code == 0


def test_killed_and_resumed_offline_then_synced_with_the_tool_of_wandb(backend: Backend, tmp_path: Path) -> None:
    killed_training(tmp_path, "offline", lambda: any(tmp_path.glob("*/wandb/offline-run-*/*.wandb")))
    node = Node(tmp_path, "offline")
    node.start(27)
    node.train(27, 50)
    node.finish("done")
    assert backend.runs == {}
    subprocess.run(
        [sys.executable, "-m", "wandb", "sync", "--yes", str(tmp_path / RUN / "wandb")],
        check=True,
        timeout=300,
        capture_output=True,
        cwd=tmp_path,
    )
    assert_complete(backend, 50)


def test_preempted_before_its_evaluation_and_resumed_after_it(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for everything to be sent.
    monkeypatch.setattr(rdc_sweeps.tracking.tracker, "PREEMPTED_SECONDS", 300.0)
    node = Node(tmp_path, "online", finish_timeout=300.0)
    node.start()
    for step in range(10):
        node.step(step, loss(step))
    node.finish("preempted")
    assert backend.runs[RUN].exit_code == 1

    node = Node(tmp_path, "online")
    node.start(9)
    node.train(9, 10)
    node.finish("done")
    assert_complete(backend, 10)


def test_a_failed_run_says_so(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 5)
    node.step(5, 0.75)
    node.finish("failed")
    run = backend.runs[RUN]
    assert run.exit_code == 1
    assert [row["_step"] for row in run.history] == [0, 1, 2, 3, 4]
    assert run.summary()["loss"] == 0.75


def test_out_of_reach_at_the_start_and_back_before_the_end(backend: Backend, tmp_path: Path) -> None:
    backend.fault = Fault.ERROR
    warnings: list[str] = []
    node = Node(tmp_path, "online", init_timeout=5.0, warn=warnings.append)
    node.start()
    node.train(0, 25)

    def fell_back() -> bool:
        # The uploader is looked after at every step.
        node.tracker.stepped(2, 24, {})
        return any(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))

    wait_for(fell_back)
    backend.fault = Fault.NONE
    node.finish("done")
    (warning,) = warnings
    assert "W&B cannot be used (CommError:" in warning
    assert "HTTP 500" in warning
    assert_complete(backend, 25)
    assert not list(tmp_path.glob("*/wandb/offline-run-*"))


@pytest.mark.parametrize("fault", [pytest.param(Fault.ERROR, marks=pytest.mark.slow), Fault.QUOTA])
def test_lost_in_the_middle_and_sent_later(fault: Fault, backend: Backend, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = half_sent(backend, tmp_path, warnings.append, finish_timeout=2.0)
    backend.fault = fault
    node.train(15, 30)
    node.finish("done")
    (warning,) = warnings
    assert "the upload to W&B is incomplete" in warning
    assert len(backend.runs[RUN].history) < 30
    with pytest.raises(UnavailableError, match="sending to W&B failed"):
        upload(RunDirectory(tmp_path, RUN), init_timeout=2.0)

    backend.fault = Fault.NONE
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, 30)


@pytest.mark.parametrize(
    ("fault", "lacks"),
    [
        (Fault.FORGET_FILES, r"reason: W&B has 1\d of 30 rows, and says that the run is finished"),
        (Fault.FORGET_ENDS, r"reason: W&B has 30 of 30 rows, and says that the run is running"),
    ],
)
def test_what_the_server_does_not_have_was_not_sent(fault: Fault, lacks: str, backend: Backend, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = half_sent(backend, tmp_path, warnings.append)
    # To the client, all is well.
    backend.fault = fault
    node.train(15, 30)
    node.finish("done")
    (warning,) = warnings
    assert "the upload to W&B is incomplete" in warning
    run = RunDirectory(tmp_path, RUN)
    assert re.search(lacks, (run.wandb / "uploader.log").read_text())
    assert not is_sent(run, in_progress=False)

    backend.fault = Fault.NONE
    upload(RunDirectory(tmp_path, RUN))
    assert is_sent(RunDirectory(tmp_path, RUN), in_progress=False)
    assert_complete(backend, 30)


def test_an_upload_that_is_repeated_and_fails_is_noticed(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 10)
    node.finish("done")
    run = RunDirectory(tmp_path, RUN)
    assert is_sent(run, in_progress=False)
    backend.fault = Fault.FORGET_ENDS
    with pytest.raises(UnavailableError, match="10 of 10 rows, and says that the run is running"):
        upload(run)
    assert not is_sent(run, in_progress=False)
    assert not is_sent(run, in_progress=True)
    backend.fault = Fault.NONE
    upload(run)
    assert is_sent(run, in_progress=False)


@pytest.mark.slow
def test_a_result_that_is_written_late_is_sent(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 10)
    node.recorder.ended("done")
    time.sleep(RESULT_SECONDS + 3)
    node.owned.write_result(result())
    node.tracker.finish("done")
    assert_complete(backend, 10)


def test_an_uploader_that_dies_is_replaced(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 15)
    backend.wait_for(lambda: RUN in backend.runs and len(backend.runs[RUN].history) >= 10)
    (uploader,) = uploaders_of(tmp_path / RUN)
    os.kill(uploader, signal.SIGKILL)
    # Steps come faster than anybody looks after the process.
    step = 15
    while len(backend.runs[RUN].history) <= 15:
        node.train(step, step + 1)
        step += 1
        time.sleep(0.02)
    node.finish("done")
    assert_complete(backend, step)


def test_a_folder_that_cannot_be_written_is_a_warning(environment: None, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = Node(tmp_path, "offline", warn=warnings.append)
    (tmp_path / RUN / "wandb").write_text("a file where the folder of W&B should be")
    node.start()
    node.train(0, 20)
    node.finish("done")
    (warning,) = warnings
    assert f"tracking of {RUN} stopped" in warning
    assert len(list(read_events(node.run.events))) == 20 + 2 * 2 + 1


def test_without_a_key_online_becomes_offline(environment: None, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = Node(tmp_path, "online", warn=warnings.append)
    node.start()
    node.train(0, 12)
    node.finish("done")
    assert "wandb login" in warnings[0]
    assert list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))


def test_only_tracked_runs_are_uploaded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tracked run here"):
        upload(RunDirectory(tmp_path, RUN))


def test_what_an_earlier_version_tracked_is_not_sent(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path, RUN)
    IDENTITY.save(run.wandb)
    (run.folder / "metrics.jsonl").write_text('{"step": 0, "epoch": 0, "values": {"loss": 1.0}}\n')
    with pytest.raises(UsageError, match="an earlier version"):
        upload(run)
    assert not is_sent(run, in_progress=False)


def test_a_damaged_log_is_not_sent_in_part(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "offline")
    node.start()
    node.train(0, 12)
    node.finish("done")
    content = bytearray(node.run.events.read_bytes())
    content[300] ^= 1
    node.run.events.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"events.jsonl: line \d is damaged"):
        upload(node.run)
    assert not is_sent(node.run, in_progress=False)
