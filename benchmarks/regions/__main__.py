"""`python -m benchmarks.regions --root NYUV2`: superpixels at equal numbers of regions, against real labels.

Writes docs/regions/superpixels.json, and from it a part of docs/regions.md; without --root only the part.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pages import write_part
from benchmarks.regions.candidates import candidates
from benchmarks.regions.measure import Labelled, Measures, Row, measure
from rdc_sweeps.data.roots import open_nyuv2
from rdc_sweeps.files import write_json
from rdc_sweeps.regions.generator import eight_bit
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.dataset import NyuV2Spec

DOCS = Path(__file__).parents[2] / "docs"

REGIONS = 50

SIZES: tuple[tuple[Size, int], ...] = (((96, 128), 100), ((288, 384), 30))
"""Sizes of images, each with the number of images."""

FINALISTS = 9
"""Candidates of the first size that are also measured at the others: the best of each algorithm, and those that always
are, then the best."""


def main() -> None:
    """Measure and write, or only write the page again."""
    parser = argparse.ArgumentParser(description="Superpixels at equal numbers of regions, against real labels.")
    parser.add_argument("--root", type=Path, help="NYU-V2 in the MTAN layout; at least 100 training images")
    options = parser.parse_args()
    stored = DOCS / "regions" / "superpixels.json"
    if options.root:
        write_json(stored, _measure(options.root))
    write_part(DOCS / "regions.md", "superpixels", _table(json.loads(stored.read_text())))


def _measure(root: Path) -> list[dict[str, Any]]:
    chosen = list(candidates())
    always = {(one.algorithm, one.parameters) for one in chosen if one.always}
    found = []
    for size, count in SIZES:
        images = _images(root, size, count)
        rows = []
        for candidate in chosen:
            rows.append(measure(candidate, images, REGIONS))
            print(size, rows[-1], flush=True)
        shown = [*_firsts(rows), *(row for row in rows if (row.algorithm, row.parameters) in always)]
        found.append(
            {
                "size": size,
                "images": count,
                "shown": sorted({(row.algorithm, row.parameters) for row in shown}),
                "rows": [asdict(row) for row in rows],
            }
        )
        best = {(row.algorithm, row.parameters) for row in _finalists(rows, shown)}
        chosen = [one for one in chosen if (one.algorithm, one.parameters) in best]
    return found


def _ranked(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: -row.at(REGIONS).asa)


def _firsts(rows: list[Row]) -> list[Row]:
    """The best of each algorithm."""
    return list({row.algorithm: row for row in reversed(_ranked(rows))}.values())


def _finalists(rows: list[Row], shown: list[Row]) -> list[Row]:
    # Quickshift takes a second for a large image.
    firsts = [row for row in shown if row.algorithm != "quickshift"]
    others = [row for row in _ranked(rows) if row not in shown]
    return firsts + others[: max(0, FINALISTS - len(firsts))]


def _images(root: Path, size: Size, count: int) -> list[Labelled]:
    """Training images that are spread over the split."""
    training, _ = open_nyuv2(NyuV2Spec(size=size), root, root)
    tasks: tuple[Task, ...] = ("semantic",)
    scenes = (training.scene(place * len(training) // count, tasks) for place in range(count))
    return [Labelled(eight_bit(one.image), one.semantic) for one in scenes if one.semantic is not None]


def _table(found: list[dict[str, Any]]) -> str:
    lines = []
    for part in found:
        height, width = part["size"]
        lines += [
            "",
            f"{part['images']} images at {height}x{width}, {len(part['rows'])} candidates; the best of each algorithm, "
            "the default of `slic`, and what is recommended:",
            "",
            "| algorithm | parameters | ASA | undersegmentation | border recall | small | ms |",
            "|---|---|---|---|---|---|---|",
        ]
        shown = {tuple(one) for one in part["shown"]}
        rows = [_row(row) for row in part["rows"]]
        lines += [_line(row) for row in _ranked(rows) if (row.algorithm, row.parameters) in shown]
    return "\n".join([*lines, "", ""])


def _row(stored: dict[str, Any]) -> Row:
    few, many = (Measures(**one) for one in stored["measured"])
    return Row(stored["algorithm"], stored["parameters"], stored["knob"], tuple(stored["values"]), (few, many))


def _line(row: Row) -> str:
    found = row.at(REGIONS)
    shares = (found.asa, found.undersegmentation, found.boundary_recall, found.small)
    cells = [row.algorithm, row.parameters, *(f"{100 * max(0, share):.1f} %" for share in shares)]
    return f"| {' | '.join([*cells, f'{found.milliseconds:.0f}'])} |"


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
