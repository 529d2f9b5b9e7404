"""Everything that can be wrong with W&B, and a run that takes no notice."""

from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.tracking.supervisor import upload
from tests.tracking.backend import Backend, Fault
from tests.tracking.conftest import KEY
from tests.tracking.observing import assert_complete, children_of, half_sent, is_alive, uploaders_of, wait_for
from tests.tracking.training import RUN, Node

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.QUOTA, Fault.HANG, Fault.DROP])
def test_out_of_reach_all_the_time(fault: Fault, backend: Backend, tmp_path: Path) -> None:
    backend.fault = fault
    warnings: list[str] = []
    node = Node(tmp_path, "online", init_timeout=2.0, warn=warnings.append)
    node.start()
    node.train(0, 25)
    node.finish("done")
    assert [warning[:20] for warning in warnings] == ["W&B cannot be used (", "the upload to W&B is"]
    assert backend.runs == {} or fault is Fault.QUOTA
    assert len(list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))) == 1

    backend.fault = Fault.NONE
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, 25)


def test_without_a_server(environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    warnings: list[str] = []
    node = Node(tmp_path, "online", init_timeout=5.0, warn=warnings.append)
    node.start()
    node.train(0, 25)
    node.finish("done")
    assert "connection refused" in warnings[0]
    assert len(list(tmp_path.glob("*/wandb/offline-run-*/*.wandb"))) == 1


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DROP])
def test_lost_in_the_middle(fault: Fault, backend: Backend, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = half_sent(backend, tmp_path, warnings.append, finish_timeout=3.0)
    backend.fault = fault
    node.train(15, 30)
    node.finish("done")
    (warning,) = warnings
    assert "nothing is lost; send the rest later" in warning
    backend.fault = Fault.NONE
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, 30)


def test_a_short_outage_does_no_harm(backend: Backend, tmp_path: Path) -> None:
    warnings: list[str] = []
    node = half_sent(backend, tmp_path, warnings.append)
    backend.fault = Fault.ERROR
    before = backend.operations["file_stream"]
    node.train(15, 30)
    backend.wait_for(lambda: backend.operations["file_stream"] > before)
    backend.fault = Fault.NONE
    node.finish("done")
    assert warnings == []
    assert_complete(backend, 30)


def test_a_slow_server_gets_everything(backend: Backend, tmp_path: Path) -> None:
    backend.fault, backend.delay = Fault.SLOW, 1.0
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 25)
    node.finish("done")
    assert_complete(backend, 25)


def test_an_upload_that_hangs_is_ended_with_the_run(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online", finish_timeout=1000.0)
    node.start()
    node.train(0, 15)
    backend.wait_for(lambda: RUN in backend.runs and len(backend.runs[RUN].history) >= 10)
    backend.fault = Fault.HANG
    node.train(15, 30)
    uploaders = uploaders_of(tmp_path / RUN)
    processes = uploaders + children_of(uploaders)
    assert len(processes) >= 2
    node.finish("preempted")
    wait_for(lambda: not any(is_alive(process) for process in processes))
    backend.fault = Fault.NONE
    node = Node(tmp_path, "online")
    node.start(30)
    node.train(30, 40)
    node.finish("done")
    assert_complete(backend, 40)


def test_the_stop_button_is_ignored(backend: Backend, tmp_path: Path) -> None:
    backend.stop_requested = True
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 15)
    log = tmp_path / RUN / "wandb" / "uploader.log"
    wait_for(lambda: log.exists() and "W&B asked to stop the run: ignored" in log.read_text(), 60.0)
    node.train(15, 30)
    node.finish("done")
    assert_complete(backend, 30)
