from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rdc_sweeps.errors import EventLogError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.owned import OwnedRun, acquire
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord

PANEL = np.full((4, 6, 3), 7, dtype=np.uint8)


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[OwnedRun]:
    with acquire(RunDirectory(tmp_path, "0" * 16)) as run:
        yield run


def kinds(directory: RunDirectory) -> list[tuple[str, int]]:
    return [(event["kind"], event["step"]) for event in read_events(directory.events)]


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, losses={"loss": 1.0}, test={"mIoU": 1.0, "aErr": None}, validation=None)


def train(recorder: Recorder, first: int, end: int, steps_per_epoch: int = 3) -> None:
    for step in range(first, end):
        recorder.stepped(step // steps_per_epoch, step, {"loss": 1 / (1 + step)})
        if (step + 1) % steps_per_epoch == 0:
            recorder.evaluated(record(step // steps_per_epoch), step, [("image 3", PANEL)])
    recorder.beat()


def test_an_event_per_step_and_epoch_and_a_heartbeat(owned: OwnedRun) -> None:
    directory, recorder = owned.directory, Recorder(owned)
    recorder.started(0, TrainingLength(4, 2))
    recorder.stepped(0, 0, {"loss": 2.0, "learning_rate/network": 1e-3})
    recorder.stepped(0, 1, {"loss": 1.0})
    recorder.evaluated(record(0), 1, [("image 3: a/b", PANEL)])
    step, _, panels, epoch = read_events(directory.events)
    assert step["values"] == {"loss": 2.0, "learning_rate/network": 1e-3}
    assert EpochRecord.model_validate(epoch["record"]) == record(0)
    ((title, name),) = panels["panels"].items()
    assert title == "image 3: a/b"
    assert np.array_equal(np.asarray(Image.open(directory.folder / name)), PANEL)
    status = directory.status()
    assert status is not None
    assert (status.state, status.epoch, status.epochs, status.step, status.steps) == ("training", 1, 2, 2, 4)
    assert status.metrics == {"mIoU": 1.0, "aErr": None}


def test_the_end_is_logged_once(owned: OwnedRun) -> None:
    directory, recorder = owned.directory, Recorder(owned)
    recorder.ended("failed")
    assert not directory.events.exists(), "it never trained"
    recorder.started(0, TrainingLength(3, 3))
    train(recorder, 0, 2)
    recorder.ended("done")
    recorder.ended("done")
    assert kinds(directory) == [("step", 0), ("step", 1), ("end", 2)]
    status = directory.status()
    assert status is not None
    assert status.state == "done"


def test_events_after_the_checkpoint_are_dropped_on_resume(tmp_path: Path) -> None:
    directory, undisturbed = RunDirectory(tmp_path, "0" * 16), RunDirectory(tmp_path, "1" * 16)
    with acquire(directory) as owned:
        recorder = Recorder(owned)
        recorder.started(0, TrainingLength(6, 3))
        train(recorder, 0, 5)
        recorder.ended("preempted")
        recorder.close()
    with directory.events.open("a") as file:
        file.write('{"sequence": 8, "kin')  # killed in the middle of a line
    for run, first in ((directory, 3), (undisturbed, 0)):
        with acquire(run) as owned:
            resumed = Recorder(owned)
            resumed.started(first, TrainingLength(6, 3))
            train(resumed, first, 6)
            resumed.ended("done")
            resumed.close()
    assert directory.events.read_bytes() == undisturbed.events.read_bytes()


def test_a_resume_from_beyond_the_log_is_refused_and_changes_nothing(owned: OwnedRun) -> None:
    directory, recorder = owned.directory, Recorder(owned)
    recorder.started(0, TrainingLength(6, 3))
    train(recorder, 0, 4)
    recorder.close()
    before = directory.events.read_bytes()
    with pytest.raises(EventLogError, match=r"events\.jsonl: it ends after line 6, but the checkpoint is at step 5"):
        Recorder(owned).started(5, TrainingLength(6, 3))
    assert directory.events.read_bytes() == before


def test_a_full_disk_doubles_no_event(owned: OwnedRun) -> None:
    class Full:
        """A file that takes some bytes and then no more, until there is room."""

        def __init__(self, file: object) -> None:
            self.file, self.left = file, 50

        def write(self, data: bytes) -> int:
            if not self.left:
                raise OSError(28, "No space left on device")
            taken = data[: self.left]
            self.left -= len(taken)
            return self.file.write(taken)  # type: ignore[attr-defined, no-any-return]

        def close(self) -> None:
            self.file.close()  # type: ignore[attr-defined]

    directory, recorder = owned.directory, Recorder(owned)
    recorder.started(0, TrainingLength(6, 3))
    full = Full(recorder._file)
    recorder._file = full  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space left"):
        train(recorder, 0, 2)
    full.left = 10**6
    recorder.beat()
    assert kinds(directory) == [("step", 0), ("step", 1)]
