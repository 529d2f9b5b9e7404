"""The generated part of docs/findings.md: tables and links to the figures."""

from collections.abc import Collection, Sequence, Set
from pathlib import Path
from statistics import fmean
from typing import get_args

from benchmarks.findings.claims import CLAIMS
from benchmarks.findings.comparisons import MEASURES, Comparison, Measure, Runs, Setting, claimed, settings
from benchmarks.findings.records import Results, RowRecord, RunRecord, TableRecord
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, MainMetric
from rdc_sweeps.reporting.evidence import ANSWERS
from rdc_sweeps.reporting.report import MISSING
from rdc_sweeps.reporting.statistics import Difference, Verdict, mean_interval

TITLES = {"onelabel": "One label per image", "randomlabels": "Random labels", "full": "All labels"}


def results_text(results: Results, figures: Path) -> str:
    """All tables, with links to the figures in a folder beside the page."""
    lines = [""]
    if not results.tables:
        lines += ["No results have been collected yet.", ""]
    for table in results.tables:
        lines += [f"### Table `{table.table}`, profile `{table.profile}`", ""]
        lines += [f"{'; '.join(table.data)}. Selection of epochs: `{table.selection}`.", ""]
        for setting in settings(results):
            if setting.table == table:
                lines += _setting(setting, figures)
        elsewhere = {one.claim for other in results.tables if other != table for one in other.claims}
        lines += _claims(claimed(results, table), table, elsewhere)
    if left_out := results.uncounted():
        specs = sorted({f"{run.table}/{run.row} ({run.profile})" for run in left_out})
        lines += [f"{len(left_out)} runs of rows that have another spec by now are kept, but not counted: "]
        lines[-1] += f"{', '.join(specs)}."
        lines += [""]
    return "\n".join(lines)


def summary_text(results: Results) -> str:
    """A line on each label setting in which a row was compared with the first one over several seeds."""
    lines = [""]
    for setting in settings(results):
        gains = _gains(setting)
        said = [
            f"{verdict.capitalize()}: {'; '.join(_gain(*each) for each in found)}{_unseen([gain for _, gain in found])}"
            for verdict in get_args(Verdict)
            if (found := [(one, gain) for one, gain in gains if gain.verdict == verdict])
        ]
        if said:
            lines.append(
                f"- {TITLES[setting.label_setting]} (`{setting.table.table}`, profile `{setting.table.profile}`). "
                f"{'. '.join(said)}."
            )
    return "\n".join([*lines, ""])


def summary_figure(results: Results, figures: str) -> str:
    """The figure of the first label setting of the summary; nothing if there is none.

    Args:
        results: All results.
        figures: Their folder, as the page that shows them names it.
    """
    first = next((setting for setting in settings(results) if _gains(setting)), None)
    return "" if first is None else f"\n![{_caption(first)}]({figures}/{figure_name(first)})\n"


def _gains(setting: Setting) -> list[tuple[Comparison, Difference]]:
    """The comparisons with the first row over several seeds, with their delta-m."""
    return [
        (one, one.differences["delta_m"])
        for one in setting.comparisons
        if one.other == setting.rows[0] and one.differences and one.differences["delta_m"].interval is not None
    ]


def _gain(one: Comparison, gain: Difference) -> str:
    """The mean improvement of a row and half its interval, which lies around the mean."""
    low, high = gain.interval or (gain.mean, gain.mean)
    return f"{one.row.method} {_signed('delta_m', gain.mean)} ± {_size('delta_m', (high - low) / 2)} ({len(one.seeds)})"


def _unseen(gains: Sequence[Difference]) -> str:
    """What these differences would have had to be to be told from 0."""
    found = sorted(gain.smallest for gain in gains if gain.verdict == "cannot tell" and gain.smallest is not None)
    if not found:
        return ""
    texts = dict.fromkeys(_size("delta_m", value) for value in (found[0], found[-1]))
    return f" (a true difference of {' to '.join(texts)} % would have shown)"


def _setting(setting: Setting, figures: Path) -> list[str]:
    lines = [f"#### {TITLES[setting.label_setting]}", ""]
    lines += _table(
        ["row", "seeds", "epochs", *map(_title, MAIN_METRICS)], [_means(row, setting) for row in setting.rows]
    )
    if not any(one.differences for one in setting.comparisons):
        return [*lines, "No row has a seed in common with its baseline, so there is no difference yet.", ""]
    baselines = ", ".join(dict.fromkeys(one.other.method for one in setting.comparisons))
    lines += [f"Differences to {baselines}, paired by seed:", ""]
    head = ["row", "seeds", "measure", "difference", "95 % interval", "p (Holm)", "verdict", "would have shown"]
    lines += _table(head, [line for one in setting.comparisons for line in _differences(one)])
    return [*lines, f"![{_caption(setting)}]({figures.name}/{figure_name(setting)})", ""]


def figure_name(setting: Setting) -> str:
    """File name of a setting's figure."""
    return f"{setting.name}.png"


def _caption(setting: Setting) -> str:
    return f"{TITLES[setting.label_setting]}: differences by seed, their means and 95 % intervals"


def _means(row: RowRecord, setting: Setting) -> list[str]:
    runs = setting.runs[row.id]
    seeds = [str(seed) if seed in runs else MISSING for seed in setting.table.seeds]
    return [
        f"{row.method} (`{row.id}`)",
        " ".join(seeds),
        " ".join(_epochs(runs[seed].values()) for seed in sorted(runs)) or MISSING,
        *(_mean(name, runs) for name in MAIN_METRICS),
    ]


def _epochs(runs: Collection[RunRecord]) -> str:
    """Of a seed, on each machine; once if they are the same."""
    return "/".join(dict.fromkeys(str(run.epoch) for run in runs))


def _mean(name: MainMetric, runs: Runs) -> str:
    """Over seeds, each the mean over its machines."""
    values = [fmean(run.test[name] for run in of_seed.values()) for of_seed in runs.values()]
    if not values:
        return MISSING
    text = METRICS[name].text(fmean(values))
    interval = mean_interval(values)
    return text if interval is None else f"{text} ± {METRICS[name].text((interval[1] - interval[0]) / 2)}"


def _differences(one: Comparison) -> list[list[str]]:
    if not one.differences:
        return [[one.row.method, "0", *[MISSING] * 6]]
    return [
        [
            one.row.method if measure == MEASURES[0] else "",
            str(len(one.seeds)) if measure == MEASURES[0] else "",
            _title(measure),
            _signed(measure, found.mean),
            _interval(measure, found),
            _p(found.p_holm),
            found.verdict or "one seed",
            "" if found.smallest is None else _size(measure, found.smallest),
        ]
        for measure, found in one.differences.items()
    ]


def _claims(found: Sequence[Comparison], table: TableRecord, elsewhere: Set[str]) -> list[str]:
    """The claims to which rows apply, and those to which no row of any table does."""
    lines = ["#### The paper's claims", ""]
    lines += [
        "Each line is a pair of rows that differ in what the claim is about; the first is the one it says is better.",
        "",
    ]
    rows: list[list[str]] = []
    for claim in CLAIMS:
        pairs = [one for one in found if one.claim == claim.text]
        rows += [[f"{claim.text} ({claim.source})", *_pair(one)] for one in pairs]
        if not pairs and claim.text not in elsewhere:
            rows.append([f"{claim.text} ({claim.source})", f"no rows in `{table.table}`", *[MISSING] * 6])
    head = ["claim", "rows", "seeds", _title("delta_m"), "95 % interval", "p (Holm)", "claim", "would have shown"]
    return [*lines, *_table(head, rows)]


def _pair(one: Comparison) -> list[str]:
    names = f"`{one.row.id}` − `{one.other.id}`"
    if not one.differences:
        return [names, "0", *[MISSING] * 5]
    gain = one.differences["delta_m"]
    return [
        names,
        str(len(one.seeds)),
        _signed("delta_m", gain.mean),
        _interval("delta_m", gain),
        _p(gain.p_holm),
        ANSWERS[gain.verdict] if gain.verdict else "one seed",
        "" if gain.smallest is None else _size("delta_m", gain.smallest),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table and an empty line."""
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)] + [""]


def _title(measure: Measure) -> str:
    if measure == "delta_m":
        return "Δm, %"
    metric = METRICS[measure]
    return f"{measure} {'↑' if metric.higher_is_better else '↓'}"


def _size(measure: Measure, value: float) -> str:
    return f"{value:.2f}" if measure == "delta_m" else METRICS[measure].text(value)


def _signed(measure: Measure, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{_size(measure, abs(value))}"


def _interval(measure: Measure, found: Difference) -> str:
    if found.interval is None:
        return ""
    return " to ".join(_signed(measure, edge) for edge in found.interval)


def _p(value: float | None) -> str:
    if value is None:
        return ""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
