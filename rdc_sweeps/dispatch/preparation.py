"""Preparing runs in a process of its own, so that the command line need not import what it takes."""

from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from rdc_sweeps.dispatch.local import warm_context
from rdc_sweeps.errors import RdcError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Run

Progress = Callable[[str, int, int], None]
"""What is being made, how many are done, how many there are."""


def prepare(runs: Sequence[Run], settings: Settings, progress: Progress) -> int:
    """Check all that the runs need and build the region maps that are missing.

    Returns:
        The number of GPUs to use, 0 for the CPU.

    Raises:
        RdcError: What is missing or damaged.
    """
    gpus: int = _in_process(_prepare, runs, settings, progress)
    return gpus


def needs_building(runs: Sequence[Run], settings: Settings, progress: Progress) -> bool:
    """Check all that the runs need and build nothing; whether region maps are missing.

    Raises:
        RdcError: What is missing or damaged.
    """
    missing: bool = _in_process(_look, runs, settings, progress)
    return missing


def _in_process(
    work: Callable[[list[Run], Settings, Progress], Any], runs: Sequence[Run], settings: Settings, progress: Progress
) -> Any:
    """What `work` returns in another process."""
    context = warm_context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(work, list(runs), settings, sender), name="preparation")
    process.start()
    sender.close()
    try:
        while True:
            kind, content = receiver.recv()
            if kind == "progress":
                progress(*content)
            elif kind == "error":
                raise content
            else:
                return content
    except EOFError:
        process.join()
        raise RdcError(f"the preparation of the runs ended unexpectedly (exit code {process.exitcode})") from None
    except KeyboardInterrupt:
        process.terminate()
        raise
    finally:
        process.join()


def _answer(
    work: Callable[[list[Run], Settings, Progress], Any],
    runs: list[Run],
    settings: Settings,
    sender: "Connection[Any, Any]",
) -> None:
    try:
        sender.send(("ready", work(runs, settings, lambda *done: sender.send(("progress", done)))))
    except RdcError as error:
        sender.send(("error", error))
    except KeyboardInterrupt:
        pass


def _prepare(runs: list[Run], settings: Settings, progress: Progress) -> int:
    import torch

    from rdc_sweeps.dispatch.requirements import build_missing_regions, check

    gpus = torch.cuda.device_count() if settings.device != "cpu" else 0
    check(runs, settings)
    build_missing_regions([run.spec for run in runs], settings, "cuda" if gpus else "cpu", progress)
    return gpus


def _look(runs: list[Run], settings: Settings, progress: Progress) -> bool:
    from rdc_sweeps.dispatch.requirements import check, regions_are_missing

    check(runs, settings)
    return regions_are_missing([run.spec for run in runs], settings, progress)
