"""`python -m benchmarks.dispatch [PART...] [--quick] [--json FILE]`: run the parts, or all, and print."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.dispatch import operations, planning, simulation
from rdc_sweeps.files import write_json

PARTS: dict[str, Callable[[bool], list[dict[str, Any]]]] = {
    "planning": lambda quick: planning.run(10 if quick else 213),
    "operations": lambda quick: operations.run(),
    "sizes": lambda quick: _sizes(),
    "simulation": lambda quick: simulation.run(*((200, 32) if quick else (10_000, 256))),
}


def _sizes() -> list[dict[str, Any]]:
    # In a separate process, because it imports torch, which would make the simulation's forks slow.
    command = [sys.executable, "-m", "benchmarks.dispatch.sizes"]
    rows: list[dict[str, Any]] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return rows


def main() -> None:
    """Run the named parts, or all."""
    parser = argparse.ArgumentParser(description="Planning, disk operations, sizes, and a simulated cluster.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--json", type=Path, help="store the measurements here")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    console = Console()
    console.width = max(console.width, 150)  # tables are read from logs too
    results: dict[str, Any] = {"quick": options.quick}
    for name in options.parts or PARTS:
        results[name] = PARTS[name](options.quick)
        console.print(_table(name, results[name]))
    if options.json:
        write_json(options.json, results)


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    if len(rows) == 1:
        # One long row is easier to read as a column.
        rows = [{"": key, "value": value} for key, value in rows[0].items()]
    table = Table(*(rows[0] if rows else ()), title=name, title_justify="left", box=None)
    for row in rows:
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


if __name__ == "__main__":
    main()
