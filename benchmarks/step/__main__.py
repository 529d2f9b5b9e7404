"""`python -m benchmarks.step [--sizes PROFILE:IMAGES:REGIONS ...] [--json FILE] [--page PAGE]`: what a step takes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.pages import write_part
from benchmarks.step.measure import Size, machine, measured
from rdc_sweeps.errors import RdcError
from rdc_sweeps.files import write_json

SIZES = ("cpu:8:30", "cpu:8:100", "paper:2:30", "paper:2:100", "paper:10:30", "paper:10:100")
MIB = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, and store them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.step", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), help="default: %(default)s")
    parser.add_argument("--set", nargs="+", default=[], metavar="FIELD=VALUE", dest="settings", help="of our row")
    parser.add_argument("--repeats", type=int, default=5, help="steps of each kind")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="store the measurements here, beside those of other sizes")
    parser.add_argument("--page", type=Path, help="write the tables into this page, between its marks")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        results = json.loads(options.json.read_bytes()) if options.json and options.json.exists() else {}
        for text in options.sizes:
            name = " ".join([text, *options.settings])
            results[name] = {**measured(Size.of(text), options.settings, options.repeats), **machine()}
            if options.json:
                write_json(options.json, results)
        tables = f"{summary(results)}\n\n{breakdown(results)}"
        print(tables)
        if options.page:
            write_part(options.page, "step", f"\n{tables}\n\n")
    except RdcError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def summary(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each size: seconds and peaks of both steps, and the share of the contrast in ours."""
    titles = ("profile:images:regions", "released, s", "ours, s", "ours / released", "share of L_RC")
    lines = [f"| {' | '.join([*titles, 'peak, released', 'peak, ours'])} |", "|---" * 7 + "|"]
    for name, one in results.items():
        seconds, peak = one["seconds"], one["peak"]
        cells = [
            f"{seconds['released']:.2f}",
            f"{seconds['ours']:.2f}",
            f"{one['ours to released']:.2f}",
            f"{100 * one['contrast']:.0f} %",
            *(f"{peak[step] / MIB:.0f} MiB" for step in ("released", "ours")),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def breakdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """A row for each part of our step: milliseconds at each size."""
    lines = [f"| ms | {' | '.join(results)} |", "|---|" + "---|" * len(results)]
    rows = {part: [one["parts"][part] for one in results.values()] for part in next(iter(results.values()))["parts"]}
    rows["beside the step: loading the batch"] = [one["loading"] for one in results.values()]
    rows["in the evaluation: metrics of a batch"] = [one["metrics"] for one in results.values()]
    lines += [f"| {title} | {' | '.join(f'{1000 * one:.0f}' for one in seconds)} |" for title, seconds in rows.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
