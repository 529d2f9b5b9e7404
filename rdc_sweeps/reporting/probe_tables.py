"""The results of probes as tables of texts, which every format prints."""

from collections.abc import Sequence
from typing import Literal

from rdc_sweeps.errors import UsageError
from rdc_sweeps.probing.record import (
    BORDERS,
    FRACTIONS,
    SIZES,
    SUBSTITUTES,
    Estimate,
    Probe,
    RegionGroup,
    differences,
    grouped,
)
from rdc_sweeps.reporting.probes import ProbedRun, common_terms
from rdc_sweeps.reporting.text_tables import TextTable

SHOWN = {
    "own": "own prediction",
    "other": "another image's",
    "constant": "a constant",
    "noise": "noise",
    "truth": "the truth",
}
"""What a term is shown, by `Substitute`."""


def heading(run: ProbedRun, probe: Probe) -> str:
    """Which term of which run was probed, and how."""
    images = sum(map(len, probe.batches))
    fresh = "" if run.refit is None else f", trained afresh for {run.refit} steps"
    true = ", regions from all semantic labels" if run.true_regions else ""
    return f"{run.title}, run {run.run} after epoch {run.epoch}: {probe.term}{fresh}{true}, {images} images"


def tables_of(probe: Probe) -> list[TextTable]:
    """All results of a probe."""
    tables = [_values(probe), _path(probe), _gradients(probe)]
    if probe.regions:
        tables += [
            _groups(probe, "part", SIZES, "regions by their part of the image"),
            _groups(probe, "border", BORDERS, "regions by their distance from the border, of the shorter side"),
        ]
    return [table for table in tables if table.rows]


def comparison(runs: Sequence[ProbedRun]) -> list[TextTable]:
    """Each further run against the first, paired over images and batches.

    Raises:
        UsageError: The runs were not probed on the same images.
    """
    first, *others = runs
    for other in others:
        if any(one.batches != other.probes[0].batches for one in first.probes):
            raise UsageError(
                f"run {other.run} was probed on other images than run {first.run}; compare runs of one data set and "
                "batch size"
            )
    columns = ["", "difference", "larger in", "pairs"]
    return [
        TextTable(f"{term}: {other.title} ({other.run}) less {first.title} ({first.run}), paired", columns, rows)
        for term in common_terms(runs)
        for other in others
        if (rows := _differences(first, other, term))
    ]


def number(estimate: Estimate | None, digits: int = 3) -> str:
    """A mean with its standard error, and X where there is nothing."""
    if estimate is None:
        return "X"
    error = "" if estimate.error is None else f" ± {estimate.error:.{digits}f}"
    return f"{estimate.mean:.{digits}f}{error}"


def signed(estimate: Estimate | None, digits: int = 3) -> str:
    """As `number`, with the sign."""
    text = number(estimate, digits)
    return text if text.startswith(("-", "X")) else f"+{text}"


def _share(estimate: Estimate | None) -> str:
    return "X" if estimate is None else f"{100 * estimate.positive:.0f} %"


def _values(probe: Probe) -> TextTable:
    own = probe.values["own"]
    compares = bool(probe.accuracy)
    rows = []
    for substitute in SUBSTITUTES:
        values = probe.values[substitute]
        less = Estimate.of([value - before for value, before in zip(values, own, strict=True)])
        row = [SHOWN[substitute], number(Estimate.of(values)), "" if substitute == "own" else signed(less)]
        rows.append([*row, number(Estimate.of(probe.accuracy[substitute]))] if compares else row)
    if compares:
        chance = Estimate.of([region.chance for region in probe.regions])
        rows.append(["by chance", "", "", "X" if chance is None else f"{chance.mean:.3f}"])
    columns = ["shown", "value", "less own", *(["accuracy"] if compares else [])]
    return TextTable("value of the term", columns, rows)


def _path(probe: Probe) -> TextTable:
    own = probe.path[0]
    row = [
        signed(Estimate.of([value - before for value, before in zip(values, own, strict=True)]))
        for values in probe.path[1:]
    ]
    columns = ["", *(f"{fraction:g}" for fraction in FRACTIONS[1:])]
    return TextTable("value on the way from the prediction, 0, to the truth, 1, less that at 0", columns, [["", *row]])


def _gradients(probe: Probe) -> TextTable:
    rows = []
    for name in dict.fromkeys([*probe.prediction, *probe.parameters]):
        images = Estimate.of(list(probe.prediction.get(name, {}).values()))  # type: ignore[call-overload]
        rows.append(
            [
                name,
                signed(images) if images else "",
                _share(images) if images else "",
                str(images.count) if images else "",
                signed(Estimate.of(probe.parameters.get(name, []))),
                number(Estimate.of(probe.ratios.get(name, []))),
            ]
        )
    columns = ["task", "cosine, prediction", "above 0", "images", "cosine, parameters", "ratio of norms"]
    return TextTable("gradient of the term against that of the withheld label", columns, rows)


def _groups(probe: Probe, by: Literal["part", "border"], ends: Sequence[float], title: str) -> TextTable:
    tasks = list(probe.prediction)
    rows = [
        [
            _range(group),
            str(group.regions),
            number(group.accuracy),
            "X" if group.chance is None else f"{group.chance:.3f}",
            *(signed(group.cosine.get(task)) for task in tasks),
        ]
        for group in grouped(probe.regions, by, ends)
    ]
    columns = ["", "regions", "accuracy", "chance", *(f"cosine, {task}" for task in tasks)]
    return TextTable(title, columns, rows)


def _range(group: RegionGroup) -> str:
    upto = f"{100 * group.upto:g} %"
    if group.above is None:
        return f"up to {upto}" if group.upto else upto
    return f"above {100 * group.above:g} %" if group.upto == 1 else f"up to {upto}"


def _differences(first: ProbedRun, other: ProbedRun, term: str) -> list[list[str]]:
    one, two = first.of_term(term), other.of_term(term)
    if one is None or two is None:
        return []
    samples: dict[str, Estimate | None] = {}
    for substitute in SUBSTITUTES if one.accuracy and two.accuracy else ():
        samples[f"accuracy, {SHOWN[substitute]}"] = _by_batch(one.accuracy[substitute], two.accuracy[substitute])
    for task in one.prediction:
        found = differences(one.prediction[task], two.prediction.get(task, {}))
        samples[f"cosine, prediction, {task}"] = found
    for name in one.parameters:
        found = _by_batch(one.parameters[name], two.parameters.get(name, []))
        samples[f"cosine, parameters, {name}"] = found
    return [
        [of, signed(estimate), _share(estimate), str(estimate.count)] for of, estimate in samples.items() if estimate
    ]


def _by_batch(one: Sequence[float | None], other: Sequence[float | None]) -> Estimate | None:
    first, second = ({batch: value for batch, value in enumerate(side) if value is not None} for side in (one, other))
    return differences(first, second)
