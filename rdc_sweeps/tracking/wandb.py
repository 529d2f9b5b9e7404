"""The observer that tracks a run at W&B without ever stopping, slowing or failing it."""

import logging
import queue
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rdc_sweeps.files import write_atomically
from rdc_sweeps.tracking.identity import Identity
from rdc_sweeps.tracking.journal import Journal, State
from rdc_sweeps.tracking.mode import Mode
from rdc_sweeps.tracking.supervisor import Supervisor

log = logging.getLogger(__name__)

FOLDER = "wandb"

PREEMPTED_SECONDS = 10.0
"""How long a preempted run waits for its upload."""

GRACE_SECONDS = 10.0
"""What the uploader gets beyond W&B's own finish timeout before it is killed."""


Panel = tuple[str, NDArray[np.uint8]]
"""A picture to be logged: its title, which is also its place in W&B, and a uint8 array (H, W, 3)."""


class WandbTracker:
    """Tracks one run.

    The calls below only put an event into a queue. A thread writes events to the run's journal, and a process of its
    own carries the journal to W&B (see `uploader`); it may hang or die without harm. No call raises for a reason that
    lies with W&B, the disk or the values logged: such trouble is a warning, and the run goes on.

    Args:
        run_id: Content hash of the run; the W&B run has this id, so that a resumed run continues there.
        folder: The run directory; everything is kept in its `wandb` folder.
        config: The resolved spec, and what else should be searchable at W&B. No secrets.
        mode: online, offline or disabled. Online becomes offline where W&B cannot be used.
        project: W&B project.
        entity: W&B user or team; None for the key's own.
        group: The table.
        job_type: The row.
        name: What W&B shows.
        tags: W&B tags.
        init_timeout: Seconds to wait for W&B before falling back.
        finish_timeout: Seconds that `finish` waits for the upload of what is left.
        warn: Receives each warning as a line.
    """

    def __init__(
        self,
        run_id: str,
        folder: Path,
        config: Mapping[str, Any],
        *,
        mode: Mode,
        project: str,
        entity: str | None = None,
        group: str,
        job_type: str,
        name: str,
        tags: Sequence[str] = (),
        init_timeout: float = 30.0,
        finish_timeout: float = 60.0,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._identity = Identity(run_id, project, entity, group, job_type, name, tuple(tags), config)
        self._folder = folder / FOLDER
        self._mode = mode
        self._init_timeout, self._finish_timeout = init_timeout, finish_timeout
        self._warn = warn
        self._queue: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self, step: int | None = None) -> None:
        """Begin tracking, or go on with it at `step`: what was told of that step and later ones is void."""
        if self._mode != "disabled" and self._thread is None:
            self._thread = threading.Thread(target=self._guarded, args=(step,), name="tracking", daemon=True)
            self._thread.start()

    def log_step(self, step: int, values: Mapping[str, float]) -> None:
        """Losses, learning rate and the like after an optimiser step."""
        self._put(kind="step", step=step, values=values)

    def log_epoch(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Metrics after an epoch; W&B draws them over `epoch`."""
        self._put(kind="epoch", step=step, epoch=epoch, values=values)

    def log_panels(self, epoch: int, step: int, panels: Sequence[Panel]) -> None:
        """Prediction panels after an epoch. The arrays must not be changed afterwards."""
        self._put(kind="panels", step=step, epoch=epoch, panels=list(panels))

    def summary(self, values: Mapping[str, float | int | str | None]) -> None:
        """Figures of the run as a whole."""
        self._put(kind="summary", values=values)

    def finish(self, state: State) -> None:
        """Say how the run ended, and wait for W&B to have everything: at most about `finish_timeout`."""
        thread = self._thread
        self._put(kind="finish", state=state)
        self._thread = None
        if thread is not None:
            thread.join(self._finish_timeout + 2 * GRACE_SECONDS)

    def _put(self, **event: Any) -> None:
        # Without a thread, or after it gave up, nothing would ever empty the queue.
        if self._thread is not None and self._thread.is_alive():
            # The caller may go on to change its dictionary.
            self._queue.put({key: dict(value) if isinstance(value, Mapping) else value for key, value in event.items()})

    def _guarded(self, step: int | None) -> None:
        try:
            self._work(step)
        except Exception as error:
            # Whatever it is (a full disk, a broken journal), it is not worth the run.
            self._warn(f"tracking of {self._identity.run_id} stopped: {type(error).__name__}: {error}")

    def _work(self, step: int | None) -> None:
        self._identity.save(self._folder)
        journal = Journal(self._folder, step)
        uploader = Supervisor(
            self._folder,
            self._mode,
            journal.start,
            init_timeout=self._init_timeout,
            finish_timeout=self._finish_timeout,
            warn=self._warn,
        )
        refused: set[str] = set()
        try:
            event = self._next(uploader)
            while event["kind"] != "finish":
                try:
                    journal.append(self._storable(event))
                except (TypeError, ValueError, AttributeError) as error:
                    if event["kind"] not in refused:
                        self._warn(
                            f"not tracked: {event['kind']} at step {event.get('step')}, and any like it: {error}"
                        )
                    refused.add(event["kind"])
                event = self._next(uploader)
            journal.append(event)
            if event["state"] == "preempted":
                # The machine is about to be taken away, and the next session sends what this one could not.
                uploader.finish(min(self._finish_timeout, PREEMPTED_SECONDS), last_attempt=False)
            else:
                uploader.finish(self._finish_timeout + GRACE_SECONDS, last_attempt=True)
        finally:
            journal.close()
            uploader.kill()

    def _next(self, uploader: Supervisor) -> dict[str, Any]:
        while True:
            uploader.supervise()
            try:
                return self._queue.get(timeout=1.0)
            except queue.Empty:
                continue

    def _storable(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event as the journal keeps it: plain numbers, and panels as files."""
        if event["kind"] == "panels":
            numbered = enumerate(event["panels"])
            panels = {title: self._save(f"{event['step']:08d}-{n}", title, image) for n, (title, image) in numbered}
            return {**event, "panels": panels}
        if event["kind"] in {"step", "epoch"}:
            return {**event, "values": {key: float(value) for key, value in event["values"].items()}}
        return event

    def _save(self, number: str, title: str, image: NDArray[np.uint8]) -> str:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"panel {title!r} is {image.dtype} {image.shape}, expected uint8 (H, W, 3)")
        name = f"panels/{number}-{re.sub(r'[^A-Za-z0-9.-]+', '-', title)}.png"
        picture = Image.fromarray(np.ascontiguousarray(image))
        write_atomically(self._folder / name, lambda file: picture.save(file, format="PNG"))
        return name
