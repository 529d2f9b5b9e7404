"""The published numbers of a table, and whether its published percentages follow from them."""

from dataclasses import dataclass
from itertools import product

from rdc_sweeps.metrics.delta import improvement_percent
from rdc_sweeps.metrics.metric import MainMetric
from rdc_sweeps.specs.table import Published, RowSpec, TableSpec

ROUNDING = 1e-9
"""Of binary fractions, in percent."""


@dataclass(frozen=True)
class Inconsistency:
    """A published percentage that does not follow from the published numbers."""

    table: str
    row: str
    baseline: str
    metric: MainMetric
    printed: str
    value: str
    baseline_value: str
    follows: float
    """The percentage that follows from the printed numbers."""
    lowest: float
    highest: float
    """What numbers that round to the printed ones could give."""

    @property
    def text(self) -> str:
        """What is inconsistent, and whether rounding may explain it."""
        explained = self.lowest <= float(self.printed) <= self.highest
        return (
            f"Published improvement of {self.row} in {self.metric} is printed as {self.printed} %, but "
            f"{self.baseline_value} to {self.value} is {self.follows:+.2f} %; numbers that round to these give "
            f"{self.lowest:+.2f} to {self.highest:+.2f}{', so rounding may explain it' if explained else ''}."
        )


def published(numbers: Published | None, metric: MainMetric | None) -> str | None:
    """A published number as printed; None if there is none."""
    return getattr(numbers, metric) if numbers and metric else None


def published_gain(row: RowSpec, base: RowSpec | None, metric: MainMetric | None) -> float | None:
    """Improvement over another row in percent, computed from the published numbers of both."""
    value, baseline = published(row.published, metric), published(base.published if base else None, metric)
    if metric is None or not value or not baseline or not float(baseline):
        return None
    return improvement_percent(float(value), float(baseline), metric)


def printed_gain(row: RowSpec, base: RowSpec | None, metric: MainMetric | None) -> float | None:
    """Improvement over another row in percent, as printed; if the paper prints none, as computed."""
    # Printed percentages are over the paper's own baseline; they do not hold over another.
    if base is not None and base.id == row.baseline and (printed := published(row.published_improvement, metric)):
        return float(printed)
    return published_gain(row, base, metric)


def inconsistencies(table: TableSpec) -> list[Inconsistency]:
    """The published percentages of a table that are not those of its published numbers, rounded as printed."""
    rows = {row.id: row for row in table.rows}
    found = []
    for row in table.rows:
        base = rows.get(row.baseline or "")
        for metric in table.metrics:
            printed, follows = published(row.published_improvement, metric), published_gain(row, base, metric)
            if printed is None or follows is None or base is None:
                continue
            if abs(float(printed) - follows) > _half_unit(printed) + ROUNDING:
                value, baseline = published(row.published, metric), published(base.published, metric)
                assert value is not None
                assert baseline is not None
                lowest, highest = _range(value, baseline, metric)
                found.append(
                    Inconsistency(
                        table.table, row.id, base.id, metric, printed, value, baseline, follows, lowest, highest
                    )
                )
    return found


def _half_unit(printed: str) -> float:
    """Half a unit of the last digit: how far a number may be from what is printed."""
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def _range(value: str, baseline: str, metric: MainMetric) -> tuple[float, float]:
    gains = [
        improvement_percent(
            float(value) + one * _half_unit(value), float(baseline) + two * _half_unit(baseline), metric
        )
        for one, two in product((-1, 1), repeat=2)
    ]
    return min(gains), max(gains)
