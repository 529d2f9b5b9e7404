"""The best row of a table, with pictures of what it predicts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MAIN_METRICS
from rdc_sweeps.reporting.report import Report, Row
from rdc_sweeps.web.pictures import Pictures


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
    # In rows of four, a truth and its prediction stand side by side.
    parts = ["input", "legend", *(part for task in pictures.tasks for part in (f"{task} truth", task))]
    tiles = [
        Tile(
            addresses[part],
            pictures.sizes[part],
            f"{part}: {scores[part]}" if part in scores else part,
            f"{part} of {image}{f', predicted by {row.id}' if part in pictures.tasks else ''}",
        )
        for part in parts
        if part in addresses
    ]
    return Best(row.id, row.method, image, tiles)


def best_row(report: Report, among: Collection[str]) -> Row | None:
    """The row whose main metrics improve most, in the mean, over those of the table's first row that has them all.

    Args:
        report: The table.
        among: Ids of the rows to choose from.
    """
    names = [measure.key for measure in report.measures if measure.key in MAIN_METRICS]
    metrics = {row.id: found for row in report.rows if len(found := _values(row, names)) == len(names)}
    reference = next((found for found in metrics.values() if all(found.values())), None)
    if reference is None:
        return None
    rows = [row for row in report.rows if row.id in among and row.id in metrics]
    return max(rows, key=lambda row: delta_m(metrics[row.id], reference), default=None)


def _values(row: Row, names: Sequence[str]) -> Mapping[str, float]:
    """The metrics that a row has values of."""
    return {name: value for name in names if (value := row.cells[name].value) is not None}
