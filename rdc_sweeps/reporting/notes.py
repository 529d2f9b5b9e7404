"""The notes below a report: how to read its numbers, and what they do not show."""

from collections.abc import Iterable, Mapping, Sequence

from rdc_sweeps.data.provenance import DataRecord, difference
from rdc_sweeps.metrics.metric import Metric
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.outcomes import ImageCounts
from rdc_sweeps.specs.catalogue import Run
from rdc_sweeps.specs.dataset import DatasetSpec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.table import ProfileSpec

SELECTION_NOTES: dict[Selection, str] = {
    "last": "Selection `last`: metrics on the test images after the last epoch.",
    "best-validation": "Selection `best-validation`: metrics on the test images after the epoch with the best metrics "
    "on the training images held out for validation.",
    "best-test": "Selection `best-test`: metrics after the epoch with the best metrics on the test images themselves. "
    "The published numbers were selected in the same way; such numbers are optimistic.",
}


PUBLISHED_IMPROVEMENTS = {
    True: "Published improvements are as printed.",
    False: "Published improvements are computed from the published numbers; the paper prints none here.",
    None: None,
}


def describe_data(runs: Sequence[Run], counted: Mapping[str, ImageCounts]) -> tuple[str, ...]:
    """The data sets of these runs: real or synthetic, size, number of images, source of the label setting.

    Args:
        runs: All runs of the report.
        counted: The images that the done ones were trained and tested on, by run id.
    """
    described: dict[str, dict[str, None]] = {}
    for run in runs:
        images = described.setdefault(_describe(run.spec), {})
        if run.id in counted:
            images[_count(run.spec.dataset, counted[run.id])] = None
    for run in runs:
        # A data set that no done run has used is described by its spec.
        if not (images := described[_describe(run.spec)]):
            images[_count(run.spec.dataset, None)] = None
    return tuple(text.format(images=images) for text, all_images in described.items() for images in all_images)


def _describe(spec: RunSpec) -> str:
    dataset = spec.dataset
    source = "" if spec.labels.setting == "full" else f"; {spec.labels.origin} label setting"
    kind = "synthetic" if dataset.synthetic else "real"
    return f"{dataset.name} ({kind} images), {dataset.size[0]}×{dataset.size[1]}, {{images}}{source}"


def _count(dataset: DatasetSpec, counted: ImageCounts | None) -> str:
    def found(count: int | None, expected: int) -> str:
        return str(expected) if count is None or count == expected else f"{count} (instead of {expected})"

    training, validation, test = dataset.training_count, dataset.validation_images, dataset.test_count
    if counted is None:
        counted = ImageCounts(training, validation, test)
    held_out = f", {found(counted.validation, validation)} held out for validation" if validation else ""
    return f"{found(counted.training, training)} training images{held_out}, {found(counted.test, test)} test images"


def other_data(runs: Sequence[Run], records: Mapping[str, DataRecord]) -> list[str]:
    """Which runs were trained on other data than the first of them with the same data set.

    Args:
        runs: All runs of the report.
        records: What the done ones recorded of their data, by run id.
    """
    firsts: dict[object, tuple[Run, DataRecord]] = {}
    found: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        if (record := records.get(run.id)) is None:
            continue
        spec = run.spec
        # Rows differ in their regions, and perhaps in label setting and weights.
        labelled = record.model_copy(update={"regions": None})
        images = labelled.model_copy(update={"labels": None, "weights": None})
        for key, part in ((spec.dataset, images), ((spec.dataset, spec.labels, spec.backbone.pretrained), labelled)):
            first, then = firsts.setdefault(key, (run, part))
            if changed := difference(then, part):
                found.setdefault((first.row.id, changed), {})[run.row.id] = None
    return [
        f"Trained on other data than {first}, so not comparable with it ({changed}): {', '.join(rows)}."
        for (first, changed), rows in found.items()
    ]


def notes(
    runs: Sequence[Run],
    changes: Sequence[str],
    *,
    selection: Selection,
    baselines: Iterable[str | None],
    metrics: Sequence[Metric],
    printed: bool | None,
    inconsistent: Sequence[str],
    records: Mapping[str, DataRecord],
) -> tuple[str, ...]:
    """The notes, most important first.

    Args:
        runs: All runs of the report.
        changes: The flags that changed them.
        selection: The rule that chose epochs.
        baselines: Rows that improvements are relative to.
        metrics: The measured metrics.
        printed: Whether published improvements are as printed (True), follow from the published numbers (False), or
            are not shown (None).
        inconsistent: About published improvements that do not follow from the published numbers.
        records: What the done runs recorded of their data, by run id.
    """
    names = _unique(name for name in baselines if name)
    # Of a metric by two meters, delta-m takes the main one.
    honest = " and ".join(metric.name for metric in metrics if metric.main and metric.published is None)
    return _present(
        comparability(runs[0].profile, changes),
        *other_data(runs, records),
        SELECTION_NOTES[selection],
        f"Improvements are in percent over {' or '.join(names)} (the row's baseline) with the same seed; + is better. "
        f"Δm is their mean over the metrics{f', with {honest} by the honest meter' if honest else ''}."
        if names
        else None,
        *(metric.note for metric in metrics),
        PUBLISHED_IMPROVEMENTS[printed],
        *inconsistent,
        *_row_notes(runs),
        _spread(runs),
    )


def _row_notes(runs: Sequence[Run]) -> list[str]:
    """What the table says about single rows, each text once with all its rows."""
    rows: dict[str, list[str]] = {}
    for run in runs:
        if run.row.notes and run.row.id not in rows.setdefault(run.row.notes, []):
            rows[run.row.notes].append(run.row.id)
    return [f"{', '.join(ids)}: {text}." for text, ids in rows.items()]


def comparability(profile: ProfileSpec, changes: Sequence[str]) -> str:
    """Whether numbers compare with the published ones."""
    if changes:
        return f"Changed by {', '.join(changes)}: not comparable with the published numbers."
    if profile.comparable:
        return f"Profile `{profile.profile}` follows the published protocol: its numbers compare with those published."
    return f"Numbers of profile `{profile.profile}` are not comparable with the published ones; those of `paper` are."


def _spread(runs: Sequence[Run]) -> str:
    seeds = len({run.spec.seed for run in runs})
    if seeds == 1:
        return "One seed shows no spread: this report cannot show whether a difference is more than chance."
    return f"Means over {seeds} seeds ± sample standard deviation."


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _present(*texts: str | None) -> tuple[str, ...]:
    return tuple(text for text in texts if text)
