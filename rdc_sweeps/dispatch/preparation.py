"""Prepares runs in a separate process, so that the calling process need not import torch."""

from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from rdc_sweeps.errors import InfrastructureError, RdcError, infrastructure_cause
from rdc_sweeps.processes.children import end_with_parent, fork_server
from rdc_sweeps.runs.environment import check_packages
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.catalogue import Run

if TYPE_CHECKING:
    from rdc_sweeps.dispatch.region_maps import ReportBuild

PRELOADED = ("rdc_sweeps.dispatch.inputs", "rdc_sweeps.dispatch.worker")
"""Modules of the fork server, which later also starts the workers: a process has one such server."""


def prepare(runs: Sequence[Run], settings: Settings, report: "ReportBuild") -> int:
    """Check all inputs of the runs and build the region maps that are missing.

    Returns:
        The number of GPUs to use, 0 for the CPU.

    Raises:
        RdcError: What is missing or damaged.
    """
    gpus: int = _in_process(_prepare, runs, settings, report)
    return gpus


def needs_building(runs: Sequence[Run], settings: Settings, report: "ReportBuild") -> bool:
    """Check all inputs of the runs without building anything; returns whether region maps are missing.

    Raises:
        RdcError: What is missing or damaged.
    """
    missing: bool = _in_process(_check, runs, settings, report)
    return missing


def _in_process(
    work: Callable[[list[Run], Settings, "ReportBuild"], Any],
    runs: Sequence[Run],
    settings: Settings,
    report: "ReportBuild",
) -> Any:
    """Call `work` in another process and return its result."""
    context = fork_server(*PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(work, list(runs), settings, sender), name="preparation")
    process.start()
    sender.close()
    try:
        while True:
            kind, content = receiver.recv()
            if kind == "progress":
                report(*content)
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


def _send_result(
    work: Callable[[list[Run], Settings, "ReportBuild"], Any],
    runs: list[Run],
    settings: Settings,
    sender: "Connection[Any, Any]",
) -> None:
    end_with_parent()
    try:
        sender.send(("result", work(runs, settings, lambda *done: sender.send(("progress", done)))))
    except (KeyboardInterrupt, BrokenPipeError):
        pass  # nobody waits for the result any more
    except RdcError as error:
        sender.send(("error", error))
    except OSError as error:
        if infrastructure_cause(error) is None:
            raise
        sender.send(("error", InfrastructureError(f"{error}; repeat the command once that is solved")))


def _prepare(runs: list[Run], settings: Settings, report: "ReportBuild") -> int:
    import torch

    from rdc_sweeps.dispatch.inputs import build_missing_regions, check_inputs

    check_packages()
    gpus = torch.cuda.device_count() if settings.device != "cpu" else 0
    check_inputs(runs, settings)
    build_missing_regions([run.spec for run in runs], settings, report)
    return gpus


def _check(runs: list[Run], settings: Settings, report: "ReportBuild") -> bool:
    from rdc_sweeps.dispatch.inputs import check_inputs, regions_are_missing

    check_packages()
    check_inputs(runs, settings)
    return regions_are_missing([run.spec for run in runs], settings, report)
