"""`python -m benchmarks.tuning [--quick] [--json FILE] [--real TRIALS --root DIR]`: run, print, and store."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.tuning import real, search, workers
from rdc_sweeps.files import write_json

PARTS: dict[str, Callable[[bool], list[dict[str, Any]]]] = {
    "search": search.run,
    "scaling": workers.scaling,
    "overhead": workers.overhead,
}


def main() -> None:
    """Run every part, those named by --only, or the real studies."""
    parser = argparse.ArgumentParser(description="What tuning saves and costs.")
    parser.add_argument("--quick", action="store_true", help="fewer trials and repeats")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="run these parts only")
    parser.add_argument("--json", type=Path, help="store the measurements here")
    parser.add_argument(
        "--real", type=int, metavar="TRIALS", help="instead, two studies of trainings on NYU-V2 (nyuv2_root)"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of a real study")
    parser.add_argument("--root", type=Path, default=Path("runs"), help="runs folder of the real studies")
    options = parser.parse_args()
    results: dict[str, Any] = {"quick": options.quick}
    if options.real:
        results["real"] = real.run(options.real, options.workers, options.root)
    else:
        results |= {name: PARTS[name](options.quick) for name in options.only}
    console = Console()
    console.width = max(console.width, 170)  # tables are read from logs too
    for name, rows in results.items():
        if isinstance(rows, list):
            console.print(_table(name, rows))
    if options.json:
        write_json(options.json, results)


def _table(name: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(*rows[0], title=name)
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    return table


if __name__ == "__main__":
    main()
