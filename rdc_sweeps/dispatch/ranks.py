"""One run in several processes of this machine, one per GPU or on the CPU, with equal results.

Rank 0 is the process that calls `train_on`: it holds the run's lock, records and tracks. It starts the other ranks,
which only train. None of them outlives it, and it notices within seconds if one of them has ended.
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
from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.errors import InfrastructureError, UsageError, infrastructure_cause
from rdc_sweeps.files import Write, write_atomically
from rdc_sweeps.parallel.place import Place
from rdc_sweeps.processes.children import end_with_parent, fork_server, log_to
from rdc_sweeps.processes.devices import VISIBLE, restrict_to
from rdc_sweeps.processes.memory import keep_freed_memory
from rdc_sweeps.processes.signals import ignore_stop_signals
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.loop import Training, train
from rdc_sweeps.training.observers import Observer

GRACE_SECONDS = 20.0
"""Time for rank 0 to leave the training after another rank has ended; then its process is ended."""

ERROR_SECONDS = 5.0
"""Time to wait for the error of another rank after rank 0 has lost the connection to it."""

log = logging.getLogger(__name__)


def train_on(
    count: int,
    spec: RunSpec,
    settings: Settings,
    checkpoint: Path,
    observers: Sequence[Observer] = (),
    stop: Callable[[], bool] = lambda: False,
    write: Write = write_atomically,
    opened: Callable[[DataRecord], object] | None = None,
    *,
    images: Path | None = None,
    log_path: Path | None = None,
) -> Training:
    """`train` in `count` processes, of which this is rank 0; results equal those of one process up to rounding.

    Each rank has a GPU of its own, in the order of CUDA_VISIBLE_DEVICES, or an equal part of this process's CPU
    threads. The checkpoint does not depend on `count`.

    Args:
        count: Number of processes.
        spec: See `train`.
        settings: See `train`; loader processes are divided among the ranks.
        checkpoint: See `train`.
        observers: Observers of rank 0.
        stop: Called on rank 0; all ranks stop at the same step.
        write: See `train`.
        opened: See `train`.
        images: See `train`.
        log_path: File to which the other ranks log; None: they inherit this process's output.

    Raises:
        UsageError: There are fewer images in a batch, or fewer GPUs, than `count`; nothing was started.
        InfrastructureError: A rank ended unexpectedly.
        Exception: Whatever `train` raises; if it was raised in another rank, a note holds the traceback.
    """
    if count == 1:
        return train(spec, settings, checkpoint, observers, stop, write, opened, images)
    check_batch(spec, count)
    if _on_gpus(settings) and torch.cuda.device_count() < count:
        raise UsageError(f"gpus_per_run: {count} GPUs, but this process sees {torch.cuda.device_count()}")
    share = settings.model_copy(update={"workers": -(-settings.workers // count)})
    with _one_group(count, spec, share, checkpoint, log_path):
        return train(spec, share, checkpoint, observers, stop, write, opened, images)


def check_batch(spec: RunSpec, count: int) -> None:
    """Raise UsageError unless `count` processes can share the batches of a run."""
    check_shares(spec.training.batch_sizes(spec.dataset.training_count), count)


def _on_gpus(settings: Settings) -> bool:
    return settings.device != "cpu" and torch.cuda.is_available()


@dataclass(frozen=True)
class _Error:
    """An exception sent to rank 0: the exception itself, if it can be pickled, and its traceback as text."""

    error: Exception | None
    trace: str

    @classmethod
    def of(cls, error: Exception) -> "_Error":
        trace = "".join(traceback.format_exception(error))
        if (cause := infrastructure_cause(error)) is not None:
            # The chain of causes does not travel.
            return cls(InfrastructureError(str(cause)), trace)
        try:
            travelled = pickle.loads(pickle.dumps(error))
        except Exception:  # whatever a class makes of being rebuilt
            return cls(None, trace)
        return cls(error if str(travelled) == str(error) else None, trace)

    def rebuild(self, rank: int) -> Exception:
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
        peers = _Peers(abort=first.on_gpus)
        try:
            for place in places:
                peers.start(place, spec, settings, checkpoint, log_path)
            peers.wait_until_ready()
            with first.joined(peers.check):
                yield
        except RuntimeError as error:
            peers.explain(error)
            raise
        except InfrastructureError as error:
            peers.explain(error)
            raise
        else:
            peers.dismiss()
        finally:
            peers.end()


class _Peers:
    """Ranks 1 and up as seen by rank 0, with a thread that listens to each."""

    def __init__(self, *, abort: bool) -> None:
        self.abort = abort
        self.processes: dict[int, ForkServerProcess] = {}
        self.connections: dict[int, Connection] = {}
        self.followers: list[threading.Thread] = []
        self.ready: set[int] = set()
        self.errors: dict[int, _Error] = {}
        self.codes: dict[int, int] = {}
        self.failed, self.closed = threading.Event(), threading.Event()

    def start(self, place: Place, spec: RunSpec, settings: Settings, checkpoint: Path, log_path: Path | None) -> None:
        """Start a rank."""
        context, rank = fork_server(__name__), place.rank
        self.connections[rank], theirs = context.Pipe()
        process = context.Process(
            target=_train_rank,
            args=(theirs, place, spec, settings, checkpoint, log_path, os.environ.get(VISIBLE)),
            name=f"rank {rank}",
        )
        process.start()
        theirs.close()
        self.processes[rank] = process
        follower = threading.Thread(target=self._follow, args=(rank,), name=f"rank {rank}", daemon=True)
        follower.start()
        self.followers.append(follower)

    def wait_until_ready(self) -> None:
        """Wait until all are ready, so that no rank waits for one that has died when the group forms."""
        while len(self.ready) < len(self.processes):
            self.check()
            time.sleep(0.02)

    def check(self) -> None:
        """Raise the error of another rank if one has ended."""
        if self.failed.is_set():
            raise self._cause()

    def explain(self, error: Exception) -> None:
        """Raise the error of another rank if it caused rank 0 to fail with `error`."""
        deadline = time.monotonic() + ERROR_SECONDS
        while time.monotonic() < deadline and not self._cause_is_known():
            time.sleep(0.05)
        if self.failed.is_set():
            raise self._cause() from error

    def dismiss(self) -> None:
        """Let the other ranks end, now that no rank needs an answer from them."""
        self.closed.set()
        for connection in self.connections.values():
            with suppress(OSError):
                connection.send(None)
        for follower in self.followers:
            follower.join(GRACE_SECONDS)

    def end(self) -> None:
        """Kill the ranks that have not ended."""
        self.closed.set()
        for process, follower in zip(self.processes.values(), self.followers, strict=True):
            if follower.is_alive():
                process.kill()
            follower.join()

    def _follow(self, rank: int) -> None:
        connection, process = self.connections[rank], self.processes[rank]
        while connection in wait([connection, process.sentinel]):
            try:
                message = connection.recv()
            except (EOFError, OSError):
                break
            if isinstance(message, _Error):
                self.errors[rank] = message
                self._abort()
            else:
                self.ready.add(rank)
        process.join()
        if process.exitcode and not self.closed.is_set():
            self.codes[rank] = process.exitcode
            self._abort()

    def _abort(self) -> None:
        first = not self.failed.is_set()
        self.failed.set()
        if first and not self.closed.is_set():
            threading.Thread(target=self._force_end, name="end of ranks", daemon=True).start()

    def _force_end(self) -> None:
        """End the process of rank 0 if it keeps waiting."""
        if self.abort and dist.is_initialized():
            # NCCL kernels wait for their peers forever; gloo notices that they have ended.
            dist.group.WORLD.abort()  # type: ignore[union-attr]
        if not self.closed.wait(GRACE_SECONDS):
            log.error("ending this process, which still waits for another rank: %s", self._cause())
            os._exit(WorkerExit.RETRY)

    def _cause_is_known(self) -> bool:
        return bool(self.errors) or any(code != WorkerExit.RETRY for code in self.codes.values())

    def _cause(self) -> Exception:
        for rank, error in sorted(self.errors.items()):
            return error.rebuild(rank)
        # A rank that lost another one ends with RETRY.
        rank, code = min(self.codes.items(), key=lambda item: (item[1] == WorkerExit.RETRY, item[0]))
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return InfrastructureError(f"rank {rank} {how}")


def _train_rank(
    connection: Connection,
    place: Place,
    spec: RunSpec,
    settings: Settings,
    checkpoint: Path,
    log_path: Path | None,
    mask: str | None,
) -> None:
    """Train as one of the ranks 1 and up; the main function of its process."""
    # Rank 0 decides for all ranks.
    ignore_stop_signals()
    end_with_parent()
    restrict_to(mask)
    if log_path is not None:
        log_to(log_path)
    try:
        connection.send(None)
        if not place.on_gpus:
            keep_freed_memory()
        with place.joined():
            train(spec, settings, checkpoint)
            with suppress(EOFError):
                # Wait until the other ranks have all answers that they need.
                connection.recv()
    except InfrastructureError as error:
        log.warning("%s", error)
        sys.exit(WorkerExit.RETRY)
    except Exception as error:
        log.exception("rank %d failed", place.rank)
        connection.send(_Error.of(error))
        sys.exit(WorkerExit.FAILED)
