"""`python -m benchmarks.start`: what commands cost that train nothing, and how soon a training takes its first step.

The cost of a command is the processor time of its process. Of a start it is the wall time: the machine should be idle.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pages import write_part
from rdc_sweeps import load_table
from rdc_sweeps.errors import RdcError
from rdc_sweeps.files import write_json
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.catalogue import Run

COMMAND = (sys.executable, "-m", "rdc_sweeps")

SHORT = ("--help", "tables", "run table3 -n")

PHASES: dict[str, Callable[[Status], bool]] = {
    "the worker begins": lambda status: True,
    "ready to train": lambda status: status.steps > 0,
    "first step taken": lambda status: status.step > 0,
}
"""What the heartbeat of a run shows once a phase is reached."""

PATIENCE = 300.0
"""Seconds to wait for a first step."""


def main() -> None:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="of each short command; a third as many starts")
    parser.add_argument("--json", type=Path, help="file for the results")
    parser.add_argument("--page", type=Path, help="page whose part `start` is replaced")
    chosen = parser.parse_args()
    commands = {words: processor_seconds(words.split(), chosen.repeats) for words in SHORT}
    starts = measure_starts(max(1, chosen.repeats // 3))
    text = as_tables(commands, starts)
    print(text)
    if chosen.json:
        write_json(chosen.json, {"commands": commands, "starts": starts})
    if chosen.page:
        write_part(chosen.page, "start", text)


def processor_seconds(words: Sequence[str], repeats: int) -> float:
    """Median processor time of a command in seconds, without its first call, which may have to compile modules."""
    found = []
    for _ in range(repeats + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*COMMAND, *words], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return median(found[1:])


def measure_starts(repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds from a command to each phase: of `run`, and of the `worker` that a Slurm job calls.

    Scenes and region maps are there from a first start, which is not counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings: dict[str, Any] = {
            "cache_root": Path(folder, "cache"),
            "heartbeat": 0.05,
            "wandb": "offline",
            "device": "cpu",
        }
        found: dict[str, list[dict[str, float]]] = {"run": [], "worker": []}
        for number in range(2 * repeats + 1):
            table = load_table(
                "table3", rows=["one-region-gaussian"], profile="demo", root=Path(folder, f"runs{number}"), **settings
            )
            kind = "worker" if number % 2 else "run"
            measured = _until_step(kind, table.runs[0], table.settings.model_dump(mode="json"))
            if number:
                found[kind].append(measured)
    return {kind: {phase: median(one[phase] for one in several) for phase in PHASES} for kind, several in found.items()}


def _until_step(kind: str, run: Run, settings: Mapping[str, Any]) -> dict[str, float]:
    """Seconds from a command to each phase of a run; after its first step, it is stopped."""
    directory = RunDirectory(Path(settings["root"]), run.id)
    if kind == "worker":
        request_run(directory, run.spec)
        words = ["worker", run.id]
    else:
        words = ["run", "table3", run.row.id, "--profile", "demo"]
    names = ("root", "cache_root", "heartbeat", "wandb", "device")
    environment = os.environ | {f"RDC_SWEEP_{name.upper()}": str(settings[name]) for name in names}
    began = time.monotonic()
    process = subprocess.Popen([*COMMAND, *words], env=environment, stderr=subprocess.DEVNULL)
    found: dict[str, float] = {}
    try:
        while len(found) < len(PHASES):
            if process.poll() is not None or time.monotonic() - began > PATIENCE:
                raise RdcError(f"{' '.join(words)}: ended or took too long before its first step")
            status = directory.status()
            for phase, reached in PHASES.items():
                if phase not in found and status is not None and reached(status):
                    found[phase] = time.monotonic() - began
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
    return found


def as_tables(commands: Mapping[str, float], starts: Mapping[str, Mapping[str, float]]) -> str:
    """The results as tables of Markdown."""
    lines = ["| `rdc-sweep` | processor s |", "|---|---|"]
    lines += [f"| `{words}` | {seconds:.2f} |" for words, seconds in commands.items()]
    lines += ["", f"| seconds after | {' | '.join(PHASES)} |", "|---|" + "---|" * len(PHASES)]
    lines += [
        f"| `rdc-sweep {kind}` | {' | '.join(f'{phases[name]:.1f}' for name in PHASES)} |"
        for kind, phases in starts.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
