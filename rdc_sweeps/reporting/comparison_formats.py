"""A comparison as tables of texts and as JSON."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, Metric
from rdc_sweeps.reporting.comparison import Comparison, ImageGain, MetricGain
from rdc_sweeps.reporting.curves import LOSS, Curves
from rdc_sweeps.reporting.report import MISSING
from rdc_sweeps.reporting.sides import Side
from rdc_sweeps.reporting.statistics import Interval, deviation
from rdc_sweeps.reporting.text_tables import TextTable
from rdc_sweeps.texts import visible

EPOCHS_SHOWN = 6

NAMED_IMAGES = 3
"""Of the images that gain or lose most."""

LONGEST_VALUE = 40
"""Of a field of a spec, in characters."""

NO_FIELD = "-"


def comparison_tables(found: Comparison) -> list[TextTable]:
    """All that a comparison has found, for a terminal."""
    tables = [_runs(found), _specs(found), _values(found)]
    first = found.sides[0].name
    tables += [_paired_by_seed(first, side, found.metrics) for side in found.sides[1:]]
    tables += _epochs(found.curves)
    tables += [_paired_by_image(first, side, found.images) for side in found.sides[1:]]
    return [table for table in tables if table.rows]


def comparison_json(found: Comparison) -> dict[str, Any]:
    """All that a comparison has found, as plain values."""
    return {
        "selection": found.selection,
        "sides": [
            {
                "name": side.name,
                "title": side.title,
                "runs": [
                    {"seed": one.seed, "run": one.run, "state": one.state, "epoch": one.epoch, "metrics": one.values}
                    for one in found.outcomes[side.name]
                ],
            }
            for side in found.sides
        ],
        "specs": [{"field": one.path, "values": one.values} for one in found.specs],
        "gains_by_seed": [asdict(one) for one in found.metrics],
        "gains_by_image": [asdict(one) for one in found.images],
        "curves": {one.name: {name: _plain(seeds) for name, seeds in one.values.items()} for one in found.curves},
        "notes": found.notes,
    }


def _plain(seeds: Mapping[int, Sequence[float]]) -> dict[str, list[float | None]]:
    """Values by seed; JSON has neither NaN nor numbers as keys."""
    return {str(seed): [None if math.isnan(one) else one for one in values] for seed, values in seeds.items()}


def _runs(found: Comparison) -> TextTable:
    rows = [
        [side.name, str(one.seed), one.run, one.state, "" if one.epoch is None else str(one.epoch)]
        for side in found.sides
        for one in found.outcomes[side.name]
    ]
    title = f"compared by {found.selection}; gains are over {found.sides[0].name}, and above 0 is better"
    return TextTable(title, ["", "seed", "run", "state", "epoch"], rows)


def _specs(found: Comparison) -> TextTable:
    rows = [[one.path, *map(_field, one.values)] for one in found.specs]
    return TextTable("specs, where they differ", ["", *_names(found.sides)], rows)


def _field(value: str | None) -> str:
    if value is None:
        return NO_FIELD
    text = visible(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _values(found: Comparison) -> TextTable:
    rows = []
    for metric in _metrics(found):
        cells = []
        for side in found.sides:
            values = [value for one in found.outcomes[side.name] if (value := one.values.get(metric.name)) is not None]
            cells.append(_mean_text(metric, values, len(side.runs)))
        rows.append([_title(metric, found), *cells])
    return TextTable("metrics, mean ± sample standard deviation over seeds", ["", *_names(found.sides)], rows)


def _mean_text(metric: Metric, values: Sequence[float], runs: int) -> str:
    if not values:
        return MISSING
    text = metric.text(fmean(values))
    if (sd := deviation(values)) is not None:
        text += f" ± {metric.text(sd)}"
    return text if len(values) == runs else f"{text} ({len(values)} of {runs} seeds)"


def _paired_by_seed(first: str, side: Side, gains: Sequence[MetricGain]) -> TextTable:
    rows = []
    for gain in gains:
        if gain.side != side.name or (paired := gain.paired) is None:
            continue
        metric = METRICS[gain.metric]
        rows.append(
            [
                gain.metric,
                _signed(metric, paired.mean),
                _interval(metric, paired.interval),
                str(len(paired.seeds)),
                _p_text(paired.p_holm),
                paired.verdict or "one seed",
                "" if paired.smallest is None else metric.text(paired.smallest),
            ]
        )
    columns = ["", "gain", "95 % interval", "seeds", "p (Holm)", "verdict", "smallest shown"]
    return TextTable(f"{side.name} over {first}, paired by seed", columns, rows)


def _paired_by_image(first: str, side: Side, gains: Sequence[ImageGain]) -> TextTable:
    rows = []
    of_side = [gain for gain in gains if gain.side == side.name]
    for gain in of_side:
        metric = METRICS[gain.metric]
        above, below, equal = gain.counts
        rows.append(
            [
                gain.metric,
                _signed(metric, gain.mean),
                _interval(metric, gain.interval),
                f"{above}/{below}/{equal}",
                _p_text(gain.p),
                _p_text(gain.p_holm),
                _images_text(metric, gain.extremes(gaining=True)),
                _images_text(metric, gain.extremes(gaining=False)),
            ]
        )
    columns = [
        "",
        "mean gain",
        "95 % interval",
        "better/worse/equal",
        "p (Wilcoxon)",
        "p (Holm)",
        "gain most",
        "lose most",
    ]
    title = f"{side.name} over {first}, paired by image"
    if of_side:
        seeds = of_side[0].seeds
        averaged = f"mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else "one training each"
        title += f": {len(of_side[0].images)} images, {averaged}. It shows these trainings; other seeds may differ"
    return TextTable(title, columns, rows)


def _epochs(curves: Sequence[Curves]) -> list[TextTable]:
    """The main metrics after some epochs, as means over seeds."""
    longest = max(
        (len(values) for one in curves for seeds in one.values.values() for values in seeds.values()), default=0
    )
    shown = (
        sorted({round(place * (longest - 1) / (EPOCHS_SHOWN - 1)) for place in range(EPOCHS_SHOWN)}) if longest else []
    )
    rows = []
    for name in (LOSS, *MAIN_METRICS):
        for one in curves:
            if (seeds := one.values.get(name)) is None:
                continue
            cells = []
            for epoch in shown:
                values = [line[epoch] for line in seeds.values() if epoch < len(line) and not math.isnan(line[epoch])]
                text = METRICS[name].text if name in METRICS else "{:.4f}".format
                cells.append(text(fmean(values)) if values else MISSING)
            rows.append([f"{name}, {one.name}", *cells])
    return [TextTable("training loss and test metrics after epoch", ["", *(str(epoch + 1) for epoch in shown)], rows)]


def _images_text(metric: Metric, images: Sequence[tuple[int, float]]) -> str:
    return "  ".join(f"{image}: {_signed(metric, gain)}" for image, gain in images[:NAMED_IMAGES])


def _metrics(found: Comparison) -> list[Metric]:
    return [METRICS[name] for name in dict.fromkeys(gain.metric for gain in found.metrics)]


def _title(metric: Metric, found: Comparison) -> str:
    unit = metric.unit or (
        found.sides[0].spec.dataset.depth_unit if metric.task == "depth" and metric.name != "rErr" else ""
    )
    return f"{metric.column_title} [{unit}]" if unit else metric.column_title


def _names(sides: Sequence[Side]) -> list[str]:
    return [side.name for side in sides]


def _signed(metric: Metric, value: float) -> str:
    text = metric.text(value)
    # A gain that rounds to 0 has no sign.
    return text.lstrip("-") if not float(text) else f"{value:+.{metric.digits}f}"


def _interval(metric: Metric, interval: Interval | None) -> str:
    return "" if interval is None else f"{_signed(metric, interval[0])} to {_signed(metric, interval[1])}"


def _p_text(p: float | None) -> str:
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
