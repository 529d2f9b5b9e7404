"""Rows and runs compared: specs, metrics paired by seed, scores paired by image."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.comparison import Comparison, compare_sides, spec_differences
from rdc_sweeps.reporting.comparison_folder import write_comparison
from rdc_sweeps.reporting.comparison_formats import comparison_json, comparison_tables
from rdc_sweeps.reporting.image_source import ImageSource
from rdc_sweeps.reporting.sides import Side, find_sides
from rdc_sweeps.reporting.text_tables import TextTable
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings
from rdc_sweeps.training.scores import scores_file
from tests.reporting.imaged import finish, predictions, scores

from .conftest import Bench

GOLDEN = Path(__file__).parent / "goldens" / "comparison.txt"

ROWS = ("one-patch-vector", "one-region-gaussian")


def compared(bench: Bench, seeds: Sequence[int] = (0, 1, 2), *, gain: float = 2.0) -> tuple[list[Side], Settings]:
    """Two rows with these seeds; the second is better by `gain`, and by a little more with each seed."""
    for row, better in zip(ROWS, (0.0, gain), strict=True):
        for run in bench.runs(rows=[row], seeds=seeds):
            finish(bench, run, better and better + run.spec.seed / 10, kept=predictions())
    settings = Settings(root=bench.root, experiments=bench.experiments, profile="cpu")
    return find_sides([f"table3/{row}" for row in ROWS], settings), settings


def text(tables: Sequence[TextTable]) -> str:
    lines = []
    for table in tables:
        lines += [table.title, " | ".join(table.columns), *(" | ".join(row) for row in table.rows), ""]
    return "\n".join(lines)


def by_seed(found: Comparison, metric: str) -> Sequence[float]:
    (gain,) = [one for one in found.metrics if one.metric == metric]
    assert gain.paired is not None
    return gain.paired.values


def test_a_comparison_reads_as_before(bench: Bench) -> None:
    """Rewritten by RDC_WRITE_GOLDENS=1; review the difference."""
    sides, settings = compared(bench)
    shown = text(comparison_tables(compare_sides(sides, ImageSource(settings))))
    for number, directory in enumerate(run for side in sides for run in side.runs.values()):
        shown = shown.replace(directory.id, f"<run {number}>")
    if os.environ.get("RDC_WRITE_GOLDENS"):
        GOLDEN.write_text(shown, encoding="utf-8")
    assert shown == GOLDEN.read_text(encoding="utf-8")


def test_gains_are_paired_by_seed_and_by_image_and_above_0_is_better(bench: Bench) -> None:
    sides, settings = compared(bench)
    found = compare_sides(sides, ImageSource(settings))
    assert by_seed(found, "mIoU") == pytest.approx([2.0, 2.1, 2.2])
    assert by_seed(found, "mErr") == pytest.approx([1.0, 1.05, 1.1])
    verdicts = {gain.metric: gain.paired and gain.paired.verdict for gain in found.metrics}
    assert (verdicts["mIoU"], verdicts["pixAcc"]) == ("better", "identical")
    (depth,) = [gain for gain in found.images if gain.metric == "aErr"]
    assert depth.seeds == (0, 1, 2)
    assert depth.gains == pytest.approx([2.1 / 50] * 6)
    assert depth.counts == (6, 0, 0)
    (same,) = [gain for gain in found.images if gain.metric == "pixAcc"]
    assert (same.counts, same.p, same.p_holm) == ((0, 0, 6), None, None)
    assert found.selection == "best-validation"
    assert not found.notes


def test_the_test_over_images_is_that_of_scipy_corrected_over_main_metrics(bench: Bench) -> None:
    sides, settings = compared(bench, [0], gain=0.001)
    directory = sides[1].run(0)
    changed = scores(0.001)
    changed.values["mIoU"][:] += np.array([3, -1, 2, -0.5, 1, 4])
    changed.values["rErr"][:] += np.array([0.3, -0.1, 0.2, -0.05, 0.1, 0.4])
    changed.save(scores_file(directory.images, 3), directory.id)
    found = {gain.metric: gain for gain in compare_sides(sides, ImageSource(settings)).images}
    gain = found["mIoU"]
    assert gain.p == pytest.approx(stats.wilcoxon(gain.gains).pvalue)
    assert gain.interval == pytest.approx(stats.ttest_1samp(gain.gains, 0).confidence_interval())
    assert gain.p is not None
    assert gain.p_holm is not None
    assert gain.p <= gain.p_holm <= min(1, 3 * gain.p)
    assert found["rErr"].p is not None
    assert found["rErr"].p_holm is None
    assert [image for image, _ in gain.extremes(gaining=True)] == [5, 0, 2, 4]
    assert [image for image, _ in gain.extremes(gaining=False)] == [1, 3]


def test_specs_show_only_what_differs(bench: Bench) -> None:
    sides, _ = compared(bench, [0])
    found = {one.path: one.values for one in spec_differences(sides)}
    assert found["method.extraction.name"] == ('"patch"', '"region"')
    assert found["method.extraction.size"][1] is None
    assert not {"seed", "labels.setting", "dataset.name"} & set(found)
    training = sides[0].spec.training.model_copy(update={"keep_checkpoints": (1,)})
    beside = replace(sides[0], spec=sides[0].spec.model_copy(update={"training": training, "seed": 9}))
    assert spec_differences([sides[0], beside]) == ()


def test_runs_of_different_seeds_are_compared_by_image_but_not_by_seed(bench: Bench) -> None:
    sides, settings = compared(bench, [0, 1])
    one, other = (replace(side, runs={seed: side.runs[seed]}) for side, seed in zip(sides, (0, 1), strict=True))
    found = compare_sides([one, other], ImageSource(settings))
    assert all(gain.paired is None for gain in found.metrics)
    assert found.images[0].seeds == ()
    assert any("no finished seed in common" in note for note in found.notes)
    assert "paired by seed" not in text(comparison_tables(found))


def test_missing_runs_scores_and_other_images_are_told(bench: Bench) -> None:
    sides, settings = compared(bench, [0])
    scores_file(sides[1].run(0).images, 3).unlink()
    found = compare_sides(sides, ImageSource(settings), selection="last")
    assert not found.images
    assert any(
        "images of one-region-gaussian and one-patch-vector are not compared: run" in note for note in found.notes
    )
    (run,) = bench.runs(rows=["one-patch-pixel"], seeds=[0])
    bench.fail(run, "disk full")
    failed = Side("failed", "failed", run.spec, {0: RunDirectory(bench.root, run.id)}, "last")
    dataset = sides[0].spec.dataset.model_copy(update={"size": (64, 96)})
    small = replace(sides[0], name="small", spec=sides[0].spec.model_copy(update={"dataset": dataset}))
    notes = compare_sides([sides[0], failed, small], ImageSource(settings)).notes
    assert any("failed: run" in note and "disk full" in note for note in notes)
    assert "small has other test images than one-patch-vector, so images are not compared" in notes
    with pytest.raises(UsageError, match="compare needs two rows or runs"):
        compare_sides(sides[:1], None)


def test_a_comparison_is_json_whatever_is_missing(bench: Bench) -> None:
    sides, settings = compared(bench, [0])
    for source in (ImageSource(settings), None):
        found = json.loads(json.dumps(comparison_json(compare_sides(sides, source)), allow_nan=False))
        assert [side["name"] for side in found["sides"]] == list(ROWS)
        assert found["gains_by_seed"][0]["paired"]["values"] == pytest.approx([2.0])
        assert bool(found["gains_by_image"]) == (source is not None)


def test_a_folder_has_the_comparison_and_figures(bench: Bench, tmp_path: Path) -> None:
    sides, settings = compared(bench, [0])
    sides = [replace(sides[0], name="$\\x$ <b>{0}\x1b[2J"), sides[1]]
    written = write_comparison(compare_sides(sides, ImageSource(settings)), settings, tmp_path / "out")
    names = [path.name for path in written]
    assert names[:3] == ["comparison.json", "changes.png", "classes.png"]
    assert json.loads(written[0].read_text())["selection"] == "best-validation"
    assert min(Image.open(written[1]).size) > 300
