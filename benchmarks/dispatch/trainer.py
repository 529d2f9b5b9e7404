"""A simulated training: it steps, saves, resumes and ends with a result that shows whether any step was wrong."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.dispatch.lifecycle import Stop
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import read_events
from rdc_sweeps.runs.recorder import Recorder
from rdc_sweeps.runs.records import Result
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord

VIOLATION = "violation.txt"
"""Written beside the runs if two processes train the same run at once, or one trains a done run."""


@dataclass(frozen=True)
class Trainer:
    """Trains one run: the state after a step is a hash of the state before it.

    Attributes:
        directory: The run.
        epochs: Number of epochs.
        steps: Steps per epoch.
        seconds: Sleep per step.
        exclusive: Whether only one process at a time may train; False where locks do not reach other hosts.
        violations: Folder of the file that tells of violations; None: the runs folder.
    """

    directory: RunDirectory
    epochs: int = 3
    steps: int = 2
    seconds: float = 0.0
    exclusive: bool = True
    violations: Path | None = None

    def train(self, recorder: Recorder, stop: Stop) -> Result | None:
        """The body for `lifecycle.run_to_end`."""
        with self._witnessed():
            step, state, history = self._resume()
            recorder.started(step, TrainingLength(self.epochs * self.steps, self.steps))
            while step < self.epochs * self.steps:
                if stop():
                    self._save(recorder, step, state, history)
                    return None
                time.sleep(self.seconds)
                state = successor(state, step)
                recorder.stepped(step // self.steps, step, {"loss": loss(state)})
                step += 1
                if step % self.steps == 0:
                    record = EpochRecord(
                        epoch=step // self.steps - 1, losses={}, test={"mIoU": loss(state)}, validation=None
                    )
                    history.append(record.model_dump())
                    recorder.evaluated(record, step - 1, [])
                    self._save(recorder, step, state, history)
        return self.result(history)

    def result(self, history: list[dict[str, object]]) -> Result:
        """The result of the run."""
        return Result(
            run=self.directory.id, selected={}, epochs=self.epochs, images=1, parameters=1, seconds=0.0, device="cpu",
            history=history,
        )  # fmt: skip

    def _resume(self) -> tuple[int, str, list[dict[str, object]]]:
        try:
            saved = json.loads(self.directory.checkpoint.read_bytes())
        except FileNotFoundError:
            return 0, self.directory.id, []
        return saved["step"], saved["state"], saved["history"]

    def _save(self, recorder: Recorder, step: int, state: str, history: list[dict[str, object]]) -> None:
        encoded = json.dumps({"step": step, "state": state, "history": history}).encode()
        recorder.write_checkpoint(self.directory.checkpoint, lambda file: file.write(encoded))

    @contextmanager
    def _witnessed(self) -> Iterator[None]:
        """Detect a second process that trains the same run, by a lock that the code under test does not know."""
        descriptor = os.open(self.directory.folder / "witness", os.O_RDWR | os.O_CREAT)
        try:
            # Without common locks, a worker that was frozen may begin before it learns that its run was taken over, and
            # done. It can write nothing then, which the files show.
            if self.exclusive:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._tell("two processes train it")
                if (self.directory.folder / "result.json").exists():
                    self._tell("it is done and trained again")
            yield
        finally:
            os.close(descriptor)

    def _tell(self, what: str) -> None:
        with ((self.violations or self.directory.root) / VIOLATION).open("a") as file:
            file.write(f"{self.directory.id}: {what}\n")


def successor(state: str, step: int) -> str:
    """The state after a step."""
    return hashlib.sha256(f"{state} {step}".encode()).hexdigest()[:16]


def loss(state: str) -> float:
    """A number between 0 and 1 computed from a state."""
    return int(state, 16) / 16**16


def problems(trainer: Trainer) -> list[str]:
    """Problems in the files of a run that should be done."""
    directory = trainer.directory
    state, losses = directory.id, []
    for step in range(trainer.epochs * trainer.steps):
        state = successor(state, step)
        losses.append(loss(state))
    found = []
    result = directory.result()
    if result is None:
        return [f"{directory.id}: is {directory.state()}"]
    wanted = [{"mIoU": one} for one in losses[trainer.steps - 1 :: trainer.steps]]
    if [record["test"] for record in result.history] != wanted:
        found.append("has a wrong result")
    events = list(read_events(directory.events))
    steps = [(event["step"], event["values"]["loss"]) for event in events if event["kind"] == "step"]
    if steps != list(enumerate(losses)):
        found.append(f"has events of steps {[step for step, _ in steps]}")
    if [event["epoch"] for event in events if event["kind"] == "epoch"] != list(range(trainer.epochs)):
        found.append("has not one event of each epoch")
    if [event["state"] for event in events if event["kind"] == "end"] != ["done"] or events[-1]["kind"] != "end":
        found.append("has a log without its end")
    if json.loads(directory.checkpoint.read_bytes())["state"] != state:
        found.append("has another checkpoint than its last")
    if directory.status() is None or not directory.attempts():
        found.append("has no heartbeat or no history")
    known = {
        "spec.yaml", "origin.json", "events.jsonl", "checkpoints", "status.json", "attempts.jsonl", "result.json",
        "lock", "writers", "witness",
    }  # fmt: skip
    if stray := {path.name for path in directory.folder.iterdir()} - known:
        found.append(f"has {', '.join(sorted(stray))}")
    return [f"{directory.id}: {one}" for one in found]
