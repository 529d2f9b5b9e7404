import json
from pathlib import Path

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.training.records import EpochRecord


def steps(directory: RunDirectory) -> list[int]:
    return [json.loads(line)["step"] for line in directory.metrics.read_text().splitlines()]


def record(epoch: int) -> EpochRecord:
    return EpochRecord(epoch=epoch, losses={"loss": 1.0}, test={"mIoU": 1.0, "aErr": None}, validation=None)


def test_a_line_per_step_and_epoch_and_a_heartbeat(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, "0" * 16)
    recorder = Recorder(directory)
    recorder.started(0, 2, 2)
    recorder.stepped(0, 0, {"loss": 2.0, "learning_rate/network": 1e-3})
    recorder.stepped(0, 1, {"loss": 1.0})
    recorder.evaluated(record(0), 1, [])
    recorder.close()
    assert steps(directory) == [0, 1, 1]
    status = directory.status()
    assert status is not None
    assert (status.state, status.epoch, status.epochs, status.step, status.steps) == ("training", 1, 2, 2, 4)
    assert status.metrics == {"mIoU": 1.0, "aErr": None}


def test_steps_after_the_checkpoint_are_forgotten_on_resume(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path, "0" * 16)
    recorder = Recorder(directory)
    recorder.started(0, 2, 3)
    for step in range(5):
        recorder.stepped(step // 3, step, {"loss": 1.0})
    recorder.beat()
    recorder.close()
    with directory.metrics.open("a") as file:
        file.write('{"step": 5, "ep')  # killed in the middle of a line
    resumed = Recorder(directory)
    resumed.started(3, 2, 3)
    resumed.stepped(1, 3, {"loss": 1.0})
    resumed.beat()
    resumed.close()
    assert steps(directory) == [0, 1, 2, 3]
