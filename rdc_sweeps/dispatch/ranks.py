"""One run on several GPUs, or on several CPU processes: a process each on this machine, with equal results.

Rank 0 is the process that calls `train_on`: it holds the run's lock, records and tracks. It starts the other ranks,
which only train. None of them outlives it, and it notices within seconds if one of them is gone.
"""

import logging
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import torch
import torch.distributed as dist

from rdc_sweeps.data.loading import check_shares
from rdc_sweeps.dispatch.lifecycle import FAILED, RETRY
from rdc_sweeps.errors import InfrastructureError, UsageError
from rdc_sweeps.files import Write, write_atomically
from rdc_sweeps.parallel.place import Place
from rdc_sweeps.processes.children import end_with_parent, fork_server, log_to
from rdc_sweeps.processes.devices import VISIBLE, restrict_to
from rdc_sweeps.processes.signals import ignore_stop_signals
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.loop import Training, train
from rdc_sweeps.training.observers import Observer

GRACE = 20.0
"""Seconds that rank 0 has to leave the training after another rank is gone; then its process is ended."""

LAST_WORDS = 5.0
"""Seconds to wait for what another rank says after rank 0 has lost it."""

log = logging.getLogger(__name__)


def train_on(
    count: int,
    spec: RunSpec,
    settings: Settings,
    checkpoint: Path,
    observers: Sequence[Observer] = (),
    stop: Callable[[], bool] = lambda: False,
    write: Write = write_atomically,
    *,
    log_path: Path | None = None,
) -> Training:
    """`train` in `count` processes, of which this is rank 0; the results are those of one process but for rounding.

    Each rank has a GPU of its own, in the order of CUDA_VISIBLE_DEVICES, or an equal part of this process's CPU
    threads. The checkpoint does not depend on `count`.

    Args:
        count: How many processes.
        spec: See `train`.
        settings: See `train`; loader processes are divided among the ranks.
        checkpoint: See `train`.
        observers: Of rank 0.
        stop: Of rank 0; all ranks stop at the same step.
        write: See `train`.
        log_path: File that the other ranks write to; None: where this process's children write.

    Raises:
        UsageError: The batch or the GPUs are fewer than `count`; nothing was started.
        InfrastructureError: A rank ended by itself.
        Exception: What `train` raises; if it was in another rank, with a note that has the traceback.
    """
    if count == 1:
        return train(spec, settings, checkpoint, observers, stop, write)
    check_batch(spec, count)
    if _on_gpus(settings) and torch.cuda.device_count() < count:
        raise UsageError(f"gpus_per_run: {count} GPUs, but this process sees {torch.cuda.device_count()}")
    share = settings.model_copy(update={"workers": -(-settings.workers // count)})
    with _one_group(count, spec, share, checkpoint, log_path):
        return train(spec, share, checkpoint, observers, stop, write)


def check_batch(spec: RunSpec, count: int) -> None:
    """Raise UsageError unless `count` processes can share the batches of a run."""
    check_shares(min(spec.training.batch_size, spec.dataset.training_count), count)


def _on_gpus(settings: Settings) -> bool:
    return settings.device != "cpu" and torch.cuda.is_available()


@dataclass(frozen=True)
class _Error:
    """An exception on its way to rank 0: itself, if it can travel, and how it reads."""

    error: Exception | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "_Error":
        trace = "".join(traceback.format_exception(error))
        try:
            travelled = pickle.loads(pickle.dumps(error))
        except Exception:  # whatever a class makes of being rebuilt
            return cls(None, trace)
        return cls(error if str(travelled) == str(error) else None, trace)

    def rebuilt(self, rank: int) -> Exception:
        error = self.error or RuntimeError(self.trace.strip().splitlines()[-1])
        error.add_note(f"This was raised in rank {rank}:\n{self.trace}")
        return error


@contextmanager
def _one_group(
    count: int, spec: RunSpec, settings: Settings, checkpoint: Path, log_path: Path | None
) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="rdc-ranks-") as folder:
        threads = max(1, torch.get_num_threads() // count)
        first, *places = (Place(rank, count, Path(folder), _on_gpus(settings), threads) for rank in range(count))
        others = _Others(abort=first.on_gpus)
        try:
            for place in places:
                others.start(place, spec, settings, checkpoint, log_path)
            others.wait_until_ready()
            with first.joined(others.check):
                yield
        except RuntimeError as error:
            others.explain(error)
            raise
        except InfrastructureError as error:
            others.explain(error)
            raise
        else:
            others.dismiss()
        finally:
            others.end()


class _Others:
    """Ranks 1 and up, as rank 0 sees them; a thread follows each."""

    def __init__(self, *, abort: bool) -> None:
        self.abort = abort
        self.processes: dict[int, ForkServerProcess] = {}
        self.connections: dict[int, Connection] = {}
        self.followers: list[threading.Thread] = []
        self.ready: set[int] = set()
        self.errors: dict[int, _Error] = {}
        self.codes: dict[int, int] = {}
        self.trouble, self.left = threading.Event(), threading.Event()

    def start(self, place: Place, spec: RunSpec, settings: Settings, checkpoint: Path, log_path: Path | None) -> None:
        """Start a rank."""
        context, rank = fork_server(__name__), place.rank
        self.connections[rank], theirs = context.Pipe()
        self.processes[rank] = context.Process(
            target=_enter,
            args=(theirs, place, spec, settings, checkpoint, log_path, os.environ.get(VISIBLE)),
            name=f"rank {rank}",
        )
        self.processes[rank].start()
        theirs.close()
        follower = threading.Thread(target=self._follow, args=(rank,), name=f"rank {rank}", daemon=True)
        follower.start()
        self.followers.append(follower)

    def wait_until_ready(self) -> None:
        """Wait until all can join, so that nobody waits for the dead when the group forms."""
        while len(self.ready) < len(self.processes):
            self.check()
            time.sleep(0.02)

    def check(self) -> None:
        """Raise what ended another rank, if something did."""
        if self.trouble.is_set():
            raise self._cause()

    def explain(self, error: Exception) -> None:
        """Raise what ended another rank, if that is why rank 0 failed with `error`."""
        deadline = time.monotonic() + LAST_WORDS
        while time.monotonic() < deadline and not self._root_known():
            time.sleep(0.05)
        if self.trouble.is_set():
            raise self._cause() from error

    def dismiss(self) -> None:
        """Let the others end, now that nobody needs an answer of theirs."""
        self.left.set()
        for connection in self.connections.values():
            with suppress(OSError):
                connection.send(None)
        for follower in self.followers:
            follower.join(GRACE)

    def end(self) -> None:
        """End those that have not."""
        self.left.set()
        for process, follower in zip(self.processes.values(), self.followers, strict=True):
            if follower.is_alive():
                process.kill()
            follower.join()

    def _follow(self, rank: int) -> None:
        connection, process = self.connections[rank], self.processes[rank]
        while connection in wait([connection, process.sentinel]):
            try:
                said = connection.recv()
            except (EOFError, OSError):
                break
            if isinstance(said, _Error):
                self.errors[rank] = said
                self._in_trouble()
            else:
                self.ready.add(rank)
        process.join()
        if process.exitcode and not self.left.is_set():
            self.codes[rank] = process.exitcode
            self._in_trouble()

    def _in_trouble(self) -> None:
        first = not self.trouble.is_set()
        self.trouble.set()
        if first and not self.left.is_set():
            threading.Thread(target=self._insist, name="end of ranks", daemon=True).start()

    def _insist(self) -> None:
        """End the process of rank 0 if it does not come back from what it waits for."""
        if self.abort and dist.is_initialized():
            # Kernels of NCCL wait for their peers for ever; gloo sees that they are gone.
            dist.group.WORLD.abort()  # type: ignore[union-attr]
        if not self.left.wait(GRACE):
            log.error("this process is ended; it waits for another rank: %s", self._cause())
            os._exit(RETRY)

    def _root_known(self) -> bool:
        return bool(self.errors) or any(code != RETRY for code in self.codes.values())

    def _cause(self) -> Exception:
        for rank, error in sorted(self.errors.items()):
            return error.rebuilt(rank)
        # A rank that lost another one ends with RETRY.
        rank, code = min(self.codes.items(), key=lambda item: (item[1] == RETRY, item[0]))
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return InfrastructureError(f"rank {rank} {how}")


def _enter(
    connection: Connection,
    place: Place,
    spec: RunSpec,
    settings: Settings,
    checkpoint: Path,
    log_path: Path | None,
    mask: str | None,
) -> None:
    """The process of a rank but the first."""
    # Rank 0 decides for all.
    ignore_stop_signals()
    end_with_parent()
    restrict_to(mask)
    if log_path is not None:
        log_to(log_path)
    try:
        connection.send(None)
        with place.joined():
            train(spec, settings, checkpoint)
            with suppress(EOFError):
                # Until the others have all answers that they need.
                connection.recv()
    except InfrastructureError as error:
        log.warning("%s", error)
        sys.exit(RETRY)
    except Exception as error:
        log.exception("rank %d failed", place.rank)
        connection.send(_Error.of(error))
        sys.exit(FAILED)
