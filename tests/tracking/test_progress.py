"""Runs that are sent from one machine while another trains them offline."""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.tracking.lease import SILENCE_SECONDS, STAMP, lease
from rdc_sweeps.tracking.supervisor import is_sent, upload
from tests.tracking.backend import Backend
from tests.tracking.observing import assert_complete, wait_for
from tests.tracking.training import RUN, STEPS_PER_EPOCH, Node, loss


def steps_logged(folder: Path) -> int:
    return sum(event["kind"] == "step" for event in read_events(folder / RUN / "events.jsonl"))


def checkpoint_step(folder: Path) -> int:
    """The latest step that a training can have a checkpoint of: one at the end of an epoch follows its evaluation."""
    epochs: int = sum(event["kind"] == "epoch" for event in read_events(folder / RUN / "events.jsonl"))
    return min(steps_logged(folder), (epochs + 1) * STEPS_PER_EPOCH - 1)


def offline_sessions(folder: Path) -> list[Path]:
    return list(folder.glob("*/wandb/offline-run-*/*.wandb"))


def test_a_run_in_progress_is_sent_in_parts_and_once(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "offline")
    node.start()
    node.train(0, 15)
    wait_for(lambda: steps_logged(tmp_path) == 15 and bool(offline_sessions(tmp_path)))
    upload(RunDirectory(tmp_path, RUN), in_progress=True)
    # The newest step may still get an evaluation.
    run = backend.runs[RUN]
    assert [row["_step"] for row in run.history] == list(range(14))
    assert run.exit_code is None
    assert is_sent(RunDirectory(tmp_path, RUN), in_progress=True)
    assert not is_sent(RunDirectory(tmp_path, RUN), in_progress=False)

    node.train(15, 32)
    wait_for(lambda: steps_logged(tmp_path) == 32)
    assert not is_sent(RunDirectory(tmp_path, RUN), in_progress=True)
    # Its writer may be in the middle of a line.
    with (tmp_path / RUN / "events.jsonl").open("a") as file:
        file.write('{"sequence": 34, "kind"')
        file.flush()
        upload(RunDirectory(tmp_path, RUN), in_progress=True)
        os.truncate(file.name, file.tell() - 23)
    assert [row["_step"] for row in run.history] == list(range(31))
    assert run.exit_code is None
    assert len(offline_sessions(tmp_path)) == 1

    node.finish("done")
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, 32)
    assert run.exit_code == 0
    assert is_sent(RunDirectory(tmp_path, RUN), in_progress=False)
    assert not offline_sessions(tmp_path)


def test_a_run_that_ended_since_somebody_looked_is_closed(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "offline")
    node.start()
    node.train(0, 12)
    node.finish("done")
    upload(RunDirectory(tmp_path, RUN), in_progress=True)
    assert_complete(backend, 12)
    assert backend.runs[RUN].exit_code == 0


def test_a_preempted_run_that_was_sent_resumes_offline_and_is_sent_again(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "offline")
    node.start()
    node.train(0, 25)
    wait_for(lambda: steps_logged(tmp_path) == 25)
    upload(RunDirectory(tmp_path, RUN), in_progress=True)
    node.finish("preempted")
    # The checkpoint is older than what was sent.
    node = Node(tmp_path, "offline")
    node.start(20)
    node.train(20, 41)
    wait_for(lambda: steps_logged(tmp_path) == 41)
    upload(RunDirectory(tmp_path, RUN), in_progress=True)
    node.finish("done")
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, 41)


def test_the_machine_that_sends_is_not_recorded_as_the_one_that_trained(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "offline")
    node.start()
    node.train(0, 12)
    node.finish("done")
    upload(RunDirectory(tmp_path, RUN))
    assert backend.runs[RUN].events == []
    metadata = backend.runs[RUN].files.get("wandb-metadata.json", b"{}")
    assert "host" not in json.loads(metadata)


def test_what_a_node_sends_itself_is_left_to_it(backend: Backend, tmp_path: Path) -> None:
    node = Node(tmp_path, "online")
    node.start()
    node.train(0, 15)
    backend.wait_for(lambda: RUN in backend.runs and len(backend.runs[RUN].history) >= 10)
    with pytest.raises(RunLockedError, match=rf"process \d+ on {os.uname().nodename} is sending the run"):
        upload(RunDirectory(tmp_path, RUN), in_progress=True)
    node.train(15, 30)
    node.finish("done")
    assert_complete(backend, 30)
    assert is_sent(RunDirectory(tmp_path, RUN), in_progress=False)


def test_a_live_session_waits_for_an_upload_to_end(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / RUN / "wandb").mkdir(parents=True)
    with lease(tmp_path / RUN / "wandb"):
        node = Node(tmp_path, "online")
        node.start()
        node.train(0, 15)
        wait_for(lambda: steps_logged(tmp_path) == 15)
    node.finish("done")
    assert [value for _, value in backend.runs[RUN].series("loss")] == [pytest.approx(loss(step)) for step in range(15)]


def hold(folder: Path, ready: object) -> None:
    with lease(folder):
        ready.set()  # type: ignore[attr-defined]
        multiprocessing.Event().wait()


def test_a_lease_is_one_process_and_ends_with_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60)
    with pytest.raises(RunLockedError, match=f"process {holder.pid}"), lease(tmp_path):
        pass
    holder.kill()
    holder.join()
    with lease(tmp_path):
        pass


def test_a_lease_of_another_host_counts_while_it_is_renewed(tmp_path: Path) -> None:
    stamp = tmp_path / STAMP
    stamp.write_text(json.dumps({"host": "node7", "process": 5}))
    with pytest.raises(RunLockedError, match="process 5 on node7"), lease(tmp_path):
        pass
    past = stamp.stat().st_mtime - SILENCE_SECONDS - 1
    os.utime(stamp, (past, past))
    with lease(tmp_path):
        assert json.loads(stamp.read_text())["process"] == os.getpid()
    assert not stamp.exists()


def test_an_incomplete_stamp_has_no_owner(tmp_path: Path) -> None:
    (tmp_path / STAMP).write_text('{"host')
    with lease(tmp_path):
        pass


def test_an_upload_of_a_folder_without_a_run_says_so(tmp_path: Path) -> None:
    assert not is_sent(RunDirectory(tmp_path, RUN), in_progress=False)
    done = subprocess.run(
        [sys.executable, "-m", "rdc_sweeps.tracking.uploader", str(tmp_path), "online"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no tracked run here" in done.stderr


NODE = """
import sys, time
from pathlib import Path
from tests.tracking.training import Node
node = Node(Path(sys.argv[1]), sys.argv[2])
first, end = int(sys.argv[3]), int(sys.argv[4])
node.start(first)
for step in range(first, end):
    node.train(step, step + 1)
    time.sleep(0.05)
node.finish("done")
"""


def train_with_kills(folder: Path, end: int, dice: random.Random) -> None:
    """Nodes that resume one after another, offline or online; all but the last are killed."""
    path = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    logged, patience = 0, 1.0
    while True:
        first = max(0, logged - dice.randrange(12)) if logged else 0
        mode = dice.choice(["offline", "offline", "online"])
        node = subprocess.Popen(
            [sys.executable, "-c", NODE, str(folder), mode, str(first), str(end)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        )
        try:
            # The last one may end as it likes.
            assert node.wait(patience * dice.uniform(2.0, 4.0) if logged < end // 2 else None) == 0
            return
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()
        # On a slow machine, the first ones may be killed before they train.
        logged, patience = checkpoint_step(folder), 1.1 * patience


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_kills_and_uploads_loses_and_doubles_nothing(seed: int, backend: Backend, tmp_path: Path) -> None:
    """A node that is killed and resumed, offline or online, while two others send what there is."""
    dice = random.Random(seed)
    end, ended, sent = 70, threading.Event(), [0, 0]

    def send_again(index: int) -> None:
        while not ended.wait(dice.random()):
            if not (tmp_path / RUN / "wandb" / "identity.json").exists():
                continue
            try:
                upload(RunDirectory(tmp_path, RUN), in_progress=True)
                sent[index] += 1
            except RunLockedError:
                continue

    senders = [threading.Thread(target=send_again, args=(index,)) for index in range(2)]
    for sender in senders:
        sender.start()
    try:
        train_with_kills(tmp_path, end, dice)
    finally:
        ended.set()
        for sender in senders:
            sender.join()
    upload(RunDirectory(tmp_path, RUN))
    assert_complete(backend, end)
    assert sum(sent) > 0
