"""`python -m benchmarks.growth.point FILE OPERATION ROOT SEEDS`: the cost of one operation, in a process of its own."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contrast.timing import peak_bytes, reset_peak, resident_bytes
from benchmarks.dispatch.planning import EXPERIMENTS
from rdc_sweeps.cli.main import commands
from rdc_sweeps.files import write_json
from rdc_sweeps.specs.catalogue import Catalogue

Commands = Callable[[list[str], list[str]], list[list[str]]]
"""From the names of the tables, and options for the seeds, to the commands of an operation."""

OPERATIONS: dict[str, Commands] = {
    "planning": lambda tables, seeds: [["run", table, "-n", *seeds] for table in tables],
    "status": lambda tables, seeds: [["status", table, *seeds] for table in tables],
    "status of the folder": lambda tables, seeds: [["status"]],
    "report": lambda tables, seeds: [["report", *tables, *seeds]],
    "claims": lambda tables, seeds: [["claims", *tables, *seeds]],
}


def measure(operation: str, root: Path, seeds: int) -> dict[str, float]:
    """CPU seconds, and bytes by which the process grew; what the commands import is loaded before."""
    with tempfile.TemporaryDirectory(prefix="growth-") as nothing:
        _run(operation, Path(nothing) / "runs", 1)
    before, began = resident_bytes(), time.process_time()
    reset_peak()
    _run(operation, root, seeds)
    return {"seconds": time.process_time() - began, "bytes": max(peak_bytes() - before, 0)}


def _run(operation: str, root: Path, seeds: int) -> None:
    catalogue = Catalogue(EXPERIMENTS)
    tables = [name for name in catalogue.tables if catalogue.table(name).paper]
    for arguments in OPERATIONS[operation](tables, ["--seeds", f"0-{seeds - 1}", "--profile", "paper"]):
        commands()([*arguments, "--root", str(root)], standalone_mode=False)


if __name__ == "__main__":
    file, name, folder, number = sys.argv[1:]
    write_json(Path(file), measure(name, Path(folder), int(number)))
