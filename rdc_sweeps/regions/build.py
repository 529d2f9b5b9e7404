"""Computing the id maps of a data set's images: once, resumable, and by several processes if wanted."""

import logging
import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import NamedTuple

from rdc_sweeps.errors import DataError, RdcError
from rdc_sweeps.regions.generator import RegionGenerator
from rdc_sweeps.regions.image import image_digest
from rdc_sweeps.regions.store import Images, Progress, RegionStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildReport:
    """What `build_regions` did, in images."""

    built: int = 0
    reused: int = 0
    without_regions: int = 0


class _Job(NamedTuple):
    images: Images
    generator: RegionGenerator
    store: RegionStore


class _Outcome(NamedTuple):
    built: bool
    has_regions: bool


def build_regions(
    images: Images,
    generator: RegionGenerator,
    store: RegionStore,
    progress: Progress | None = None,
    *,
    workers: int = 0,
) -> BuildReport:
    """Store the id map of every image that has none; may be killed at any point and called again.

    Damaged maps are computed again, with a warning. Builders of the same maps start at different images and skip what
    another has stored, so that they share the work.

    Args:
        images: Images of a data set; picklable if there are workers.
        generator: Picklable if there are workers.
        store: Store of this generator's maps.
        progress: Called after each image.
        workers: Processes besides this one, one thread each; 0 computes in this process.

    Raises:
        RdcError: A worker process died.
    """
    total = len(images)
    start = random.randrange(total) if total else 0
    rows = [(start + i) % total for i in range(total)]
    job = _Job(images, generator, store)
    built = reused = without = 0
    # Closed, so that workers are told to stop as soon as an interrupt or error comes out of `progress`.
    with closing(_in_processes(job, rows, workers) if workers else _here(job, rows)) as outcomes:
        for done, outcome in enumerate(outcomes, start=1):
            built += outcome.built
            reused += not outcome.built
            without += not outcome.has_regions
            if progress:
                progress(done, total)
    if without:
        logger.warning("%s: %d of %d images have no region at all", store.folder, without, total)
    return BuildReport(built, reused, without)


def _build(job: _Job, row: int) -> _Outcome:
    image = job.images.image(row)
    digest = image_digest(image)
    try:
        regions = job.store.get(digest)
    except DataError:
        logger.warning("%s: damaged region map, computed again", job.store.path(digest))
        regions = None
    built = regions is None
    if regions is None:
        regions = job.generator(image)
        job.store.put(digest, regions)
    return _Outcome(built, bool((regions >= 0).any()))


def _here(job: _Job, rows: list[int]) -> Generator[_Outcome, None, None]:
    for row in rows:
        yield _build(job, row)


_job: _Job
"""The job of a worker process, received once rather than with every row."""


def _in_processes(job: _Job, rows: list[int], workers: int) -> Generator[_Outcome, None, None]:
    # Spawned, since forking a process that runs torch's or OpenMP's threads may deadlock the child.
    context = multiprocessing.get_context("spawn")
    with _one_thread_each(), ProcessPoolExecutor(workers, context, _start_worker, (job,)) as pool:
        try:
            for future in as_completed([pool.submit(_build_in_worker, row) for row in rows]):
                yield future.result()
        except BrokenProcessPool as error:
            raise RdcError(
                "a process that computed regions died, perhaps for lack of memory; what it stored is kept: "
                "run `rdc-sweep regions build` again with fewer workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(job: _Job) -> None:
    global _job
    _job = job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides.
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # The pool's workers would wait for ever for a parent that was killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _build_in_worker(row: int) -> _Outcome:
    return _build(_job, row)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
