"""The best row of a table, with pictures of what it predicts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MAIN_METRICS
from rdc_sweeps.reporting.report import Report, Row
from rdc_sweeps.web.pictures import Pictures

LEGEND = "legend"


@dataclass(frozen=True)
class Tile:
    """A picture.

    Attributes:
        address: Of its file.
        size: Width and height.
        caption: What it shows.
        text: What it shows, for those who do not see it.
    """

    address: str
    size: tuple[int, int]
    caption: str
    text: str


@dataclass(frozen=True)
class Best:
    """The best row, and the pictures of an image."""

    row: str
    method: str
    image: str
    tiles: Sequence[Tile]


def best_of(report: Report, pictures: Pictures | None) -> Best | None:
    """The best of the rows that have all main metrics and pictures; None if there is none."""
    if pictures is None:
        return None
    row = best_row(report, pictures.rows)
    if row is None:
        return None
    image = next(image for image in pictures.images if row.id in pictures.addresses[image])
    addresses = pictures.addresses[image][row.id]
    scores = pictures.scores[image].get(row.id, {})
    # Beside the input, so that a truth and its prediction stand side by side.
    parts = sorted(addresses, key=lambda part: ("input", LEGEND).index(part) if part in ("input", LEGEND) else 2)
    tiles = [
        Tile(
            addresses[part],
            pictures.sizes[part],
            f"{part}: {scores[part]}" if part in scores else part,
            f"{part} of {image}{f', predicted by {row.id}' if part in pictures.tasks else ''}",
        )
        for part in parts
    ]
    return Best(row.id, row.method, image, tiles)


def best_row(report: Report, among: Collection[str]) -> Row | None:
    """The row whose main metrics improve most, in the mean, over those of the table's first row that has them all.

    Args:
        report: The table.
        among: Ids of the rows to choose from.
    """
    metrics = {row.id: found for row in report.rows if (found := _main(row))}
    reference = next((found for found in metrics.values() if all(found.values())), None)
    if reference is None:
        return None
    rows = [row for row in report.rows if row.id in among and metrics.get(row.id, {}).keys() == reference.keys()]
    return max(rows, key=lambda row: delta_m(metrics[row.id], reference), default=None)


def _main(row: Row) -> Mapping[str, float]:
    """The main metrics of a row; empty if one is missing."""
    found = {name: row.cells[name].value for name in MAIN_METRICS if name in row.cells}
    return {name: value for name, value in found.items() if value is not None} if None not in found.values() else {}
