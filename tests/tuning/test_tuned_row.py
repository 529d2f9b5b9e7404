"""A study's row resolved under a profile, and the problems of a study that are found before any training."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rdc_sweeps.errors import SpecError, UsageError
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.specs.study import AlignmentObjective
from rdc_sweeps.specs.training import ProbeSpec
from rdc_sweeps.tuning.tuned_row import TunedRow, confirmation_runs, find_study, needed_runs, read_study, resolve_study

SHIPPED = Path(__file__).parents[2]
CATALOGUE = Catalogue(SHIPPED / "experiments")
STUDIES = sorted((SHIPPED / "sweeps").glob("*.yaml"))

HEAD = """study: mine
title: Mine
table: table3
row: one-region-gaussian
"""
SPACE = "space:\n  method.contrast.temperature: {log: [0.01, 100]}\n"

Resolve = Callable[..., TunedRow]
Problems = Callable[..., list[str]]


@pytest.fixture
def resolve(tmp_path: Path) -> Resolve:
    def of_text(text: str, profile: str = "demo", **others: Any) -> TunedRow:
        path = tmp_path / "mine.yaml"
        path.write_text(HEAD + text, encoding="utf-8")
        return resolve_study(read_study(path), CATALOGUE, profile, **others)

    return of_text


@pytest.fixture
def problems(resolve: Resolve, tmp_path: Path) -> Problems:
    def of_text(text: str, **others: Any) -> list[str]:
        with pytest.raises(SpecError) as caught:
            resolve(text, **others)
        return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]

    return of_text


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("profile", CATALOGUE.profiles)
def test_shipped_studies_are_right_under_every_profile(path: Path, profile: str) -> None:
    tuned = resolve_study(read_study(path), CATALOGUE, profile)
    assert tuned.run.dataset.validation_images == 80
    assert tuned.baseline_row == {"alignment": None, "findings": "one-mtl"}.get(path.stem, "one-patch-vector")
    # The row itself is tried first.
    assert tuned.enqueued()[0] == tuned.own_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "mine.yaml:1: space: is missing"),
        (SPACE + "sampler: {name: cma}", "mine.yaml:7: sampler.name: there is no 'cma'"),
        (SPACE + "confirm: [0, 1]", "mine.yaml:7: confirm: seed 0 is a seed of the trials"),
        (SPACE + "seeds: [2, 2]", "mine.yaml:7: seeds: a seed is listed more than once"),
        (SPACE + "pruner: {name: wilcoxon}", "over 1 seeds a Wilcoxon test at 0.1 can end no trial"),
        (SPACE + "pruner: {name: hyperband, min_epochs: 4}", "mine.yaml:7: pruner.min_epochs: must be less than the 4"),
        (SPACE + "objective: {name: metric, metric: mIou}", "mine.yaml:7: objective.metric: must be"),
        (SPACE + "objective: {name: delta-m, baseline: vector}", "no row of table3 'vector'"),
        (SPACE + "enqueue: [{method.contrast.temperature: 1000}]", "enqueue[0].method.contrast.temperature: 1000"),
        (SPACE + "enqueue: [{method.weight: 1}]", "enqueue[0].method.weight: is not in the space"),
        (SPACE + "set: {method: {wieght: 1}}", "method.wieght: there is no such field; did you mean 'weight'"),
        (SPACE + "set: [method.wieght=1]", "mine.yaml:7: method.wieght: there is no such field"),
        (SPACE + "set: [dataset.validation_images=0]", "mine.yaml:7: dataset.validation_images: is 0"),
        (SPACE + SPACE, "mine.yaml:7: space: is duplicated"),
        (SPACE + "sampler: {name: grid, points: 10001}", "mine.yaml:7: sampler: a grid of 10001 combinations"),
        ("space:\n  a: {log: [0, 1]}", "mine.yaml:6: space.a.log[0]: must be greater than 0, found 0"),
        ("space:\n  a: {log: [2, 1]}", "mine.yaml:6: space.a.log: the lowest value must be less than the highest"),
        ("space:\n  a: {uniform: [0, .nan]}", "mine.yaml:6: space.a.uniform[1]: must be a finite number"),
        ("space:\n  a: {uniform: [0, 1], log: true}", "mine.yaml:6: space.a.log: there is no such field"),
        ("space:\n  a: {integer: [0, 8], log: true}", "a logarithmic range must start at 1"),
        ("space:\n  a: {integer: [1, 8], step: 2}", "steps of 2 from 1 do not reach 8"),
        ("space:\n  a: {integer: [1, 2.5]}", "mine.yaml:6: space.a.integer[1]: must be a valid integer"),
        ("space:\n  a: {choice: [1]}", "mine.yaml:6: space.a.choice: "),
        ("space:\n  a: {choice: [1, 2, 1]}", "mine.yaml:6: space.a.choice: 1 is listed more than once"),
        ("space:\n  a: [0, 1]", "mine.yaml:6: space.a: must be {uniform: [a, b]}"),
        ("space:\n  a.b: {uniform: [0, 1]}", "mine.yaml:6: space.a.b: no run has such a field. Available: dataset"),
    ],
)  # fmt: skip
def test_problems_are_reported_with_their_lines(text: str, expected: str, problems: Problems) -> None:
    if "no row" in expected:
        with pytest.raises(UsageError, match=expected):
            problems(text)
        return
    assert any(expected in problem for problem in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("path", "drawn", "expected"),
    [
        ("seed", "{integer: [0, 3]}", "cannot be tuned"),
        ("dataset.test_images", "{integer: [1, 3]}", "cannot be tuned"),
        ("labels.setting", "{choice: [onelabel, full]}", "cannot be tuned"),
        ("training.epochs", "{integer: [1, 3]}", "cannot be tuned: the study's `epochs`"),
        ("training.probe.images", "{integer: [1, 3]}", "cannot be tuned: it changes nothing in a training"),
        ("training.iterations", "{integer: [1, 3]}", "cannot be tuned: the study's `epochs`"),
        ("method.extraction.regions.segments", "{integer: [10, 30]}", "cannot be tuned: region maps"),
        ("method.contrast.name", "{choice: [vector, pixel]}", "cannot be tuned: it chooses which other fields"),
        ("method.contrast", "{choice: [1, 2]}", "is a group of fields"),
        ("method.contrast.temprature", "{log: [1, 2]}", "no run has such a field (its name is 'gaussian'); did you"),
        ("method.regulariser", "{uniform: [0, 1]}", "the row has no such field (its name is 'region_contrast')"),
        ("method.contrast.pixels_per_region", "{integer: [1, 9]}", "the row has no such field"),
        ("method.contrast.direction", "{choice: [a_to_b, b_to_a]}", "has no effect on table3/one-region-gaussian"),
        ("method.contrast.temperature.x", "{uniform: [0, 1]}", "the path continues below a field that has no fields"),
        ("method.contrast.covariance.shrinkage", "{uniform: [0, 2]}", "2.0 of this range"),
        ("method.contrast.covariance.ridge", "{uniform: [-1, 1]}", "-1.0 of this range"),
        ("method.min_pixels", "{uniform: [2, 8]}", "the field takes whole numbers only; write {integer: [a, b]}"),
        ("method.region_stride", "{integer: [1, 4]}", "3 of this range: method.region_stride: 3 does not divide"),
        ("method.mapping.channels", "{choice: [[8, 8], [8, 8, 8, 8, 8, 8, 8, 8]]}", "too many levels for 96x128"),
        ("method.gradient", "{choice: [true, 0]}", "0 of this range: it is read as False"),
        ("method.ramp_by", "{choice: [step, 'epochs']}", "'epochs' of this range"),
    ],
)  # fmt: skip
def test_fields_that_cannot_be_tuned_so(path: str, drawn: str, expected: str, problems: Problems) -> None:
    found = problems(f"space:\n  {path}: {drawn}\n")
    assert all(problem.startswith(f"mine.yaml:6: space.{path}") for problem in found)
    assert any(expected in problem for problem in found), found


def test_a_row_with_iterations_is_tuned_with_its_epochs_or_the_study_s(resolve: Resolve, problems: Problems) -> None:
    row = "set: {training: {epochs: null, iterations: 20}}\n"
    tuned = resolve(SPACE + row)
    assert (tuned.run.length.steps, tuned.run.length.epochs) == (20, 2)
    assert resolve(SPACE + row + "epochs: 3").run.length.steps == 48
    batches = "space:\n  training.batch_size: {integer: [4, 8]}\n"
    (problem,) = problems(batches + row)
    assert "trials would end after different numbers of epochs; give the study `epochs`" in problem
    assert resolve(batches + row + "epochs: 3").spec.epochs == 3


def test_fields_of_kl_are_tuned_where_kl_is_tried(resolve: Resolve) -> None:
    tuned = resolve(
        "space:\n  method.contrast.distance: {choice: [wasserstein, kl]}\n"
        "  method.contrast.direction: {choice: [a_to_b, b_to_a]}\n"
    )
    assert len(tuned.spec.space) == 2


def test_combinations_that_no_run_takes(resolve: Resolve, problems: Problems) -> None:
    study = (
        "space:\n  method.redaction.lower: {{uniform: [0.1, {0}]}}\n  method.redaction.upper: {{uniform: [0.5, 0.9]}}\n"
        "set: {{method: {{name: dejavu, redaction: {{name: spectral, lower: 0.1, upper: 0.6}}}}}}\n"
    )
    assert resolve(study.format(0.4)).own_values["method.redaction.upper"] == 0.6
    # Each alone is right while the other has the row's own value.
    (problem,) = problems(study.format(0.55))
    assert problem.startswith("mine.yaml:5: space: a combination that cannot be trained: method.redaction: upper 0.5")


def test_all_problems_are_reported_together(problems: Problems) -> None:
    text = (
        "space:\n  seed: {integer: [0, 1]}\n  method.weigt: {uniform: [0, 1]}\n  labels.seed: {integer: [0, 1]}\n"
        "set: {dataset: {validation_images: 0}}\n"
    )
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "dataset.validation_images", "space.seed", "space.method.weigt", "space.labels.seed",
    ]  # fmt: skip


def test_a_row_without_baseline_needs_another_objective(resolve: Resolve, problems: Problems) -> None:
    (problem,) = problems(SPACE, row="one-patch-vector")
    assert "row one-patch-vector has no baseline in table3" in problem
    tuned = resolve(SPACE + "objective: {name: metric, metric: mIoU}", row="one-patch-vector")
    assert (tuned.baseline, tuned.baseline_row) == (None, None)
    tuned = resolve(SPACE + "objective: {name: delta-m, baseline: rand-patch-vector}")
    assert tuned.baseline_row == "rand-patch-vector"


TWO_TERMS = """space: {method.dejavu.weight: {log: [0.01, 1]}}
set: {method: {name: combined, region_contrast: {gradient: GRADIENT}, dejavu: {}}}
"""


def test_alignment_is_of_the_row_s_term(resolve: Resolve) -> None:
    plain = resolve(SPACE)
    tuned = resolve(SPACE + "objective: {name: alignment, images: 5}\nset: {training: {probe: {every: 3}}}")
    assert tuned.spec.objective == AlignmentObjective(term="region_contrast", images=5)
    # Probes after every epoch, so that pruning sees them; they are no part of a run's identity.
    assert tuned.run.training.probe == ProbeSpec(every=1, images=5)
    assert tuned.run_with(tuned.own_values, 3).training.probe == tuned.run.training.probe
    assert run_id(tuned.run) == run_id(plain.run)
    assert (tuned.baseline, tuned.baseline_row) == (None, None)
    assert "labels of training images" in (tuned.chosen_row(tuned.own_values).notes or "")
    # Nothing needs to be held out for a choice that is not made by it.
    assert resolve(SPACE + "objective: {name: alignment}", profile="paper").run.dataset.validation_images == 0


@pytest.mark.parametrize("term", ["region_contrast", "dejavu"])
def test_alignment_of_one_of_several_terms(term: str, resolve: Resolve) -> None:
    tuned = resolve(TWO_TERMS.replace("GRADIENT", "true") + f"objective: {{name: alignment, term: {term}}}")
    assert tuned.spec.objective == AlignmentObjective(term=term)


@pytest.mark.parametrize(
    ("term", "study", "expected"),
    [
        (
            "null",
            "space: {training.weight_decay: {uniform: [0, 1]}}\nset: {method: {name: supervised}}",
            "has no cross-task term to measure (method.name is supervised); tune a row that has one, or choose another",
        ),
        (
            "null",
            "space: {method.teacher_epochs: {integer: [1, 2]}}\nset: {method: {name: teacher, teacher_epochs: 1}}",
            "has no cross-task term to measure (method.name is teacher)",
        ),
        (
            "null",
            TWO_TERMS.replace("GRADIENT", "true"),
            "has several terms; add `term`, one of region_contrast, dejavu",
        ),
        ("contrast", SPACE, "table3/one-region-gaussian has no term 'contrast'"),
        ("null", SPACE + "set: {method: {gradient: false}}", "has method.gradient=false, and without a gradient"),
        (
            "region_contrast",
            TWO_TERMS.replace("GRADIENT", "false"),
            "has method.region_contrast.gradient=false, and without a gradient",
        ),
        ("null", "space: {method.gradient: {choice: [true, false]}}", "method.gradient cannot be tuned: without a"),
    ],
)
def test_what_has_no_alignment_is_refused(term: str, study: str, expected: str, problems: Problems) -> None:
    (problem,) = problems(f"objective: {{name: alignment, term: {term}}}\n{study}")
    assert problem.startswith("mine.yaml:5: objective: ")
    assert expected in problem


def test_the_paper_s_profile_holds_nothing_out_and_the_study_can(resolve: Resolve, problems: Problems) -> None:
    (problem,) = problems(SPACE, profile="paper")
    assert "never by the test set: set dataset.validation_images=80" in problem
    tuned = resolve(SPACE, profile="paper", settings=["dataset.validation_images=80"])
    assert tuned.run.dataset.training_count == 715
    assert tuned.baseline is not None
    assert tuned.baseline.dataset.training_count == 715


def test_changes_of_the_method_are_the_row_s_alone(resolve: Resolve) -> None:
    tuned = resolve(SPACE + "set: {method: {weight: 0.7}, training: {batch_size: 4}}\nepochs: 3")
    assert tuned.baseline is not None
    assert (tuned.run.method.weight, tuned.baseline.method.weight) == (0.7, 0.1)  # type: ignore[union-attr]
    assert tuned.run.training == tuned.baseline.training
    assert (tuned.run.training.batch_size, tuned.run.training.epochs) == (4, 3)


def test_a_configuration_is_the_run_that_set_would_make(resolve: Resolve) -> None:
    tuned = resolve(SPACE + "  method.mapping.channels: {choice: [[8, 8], [16, 16]]}\n")
    values = {"method.contrast.temperature": 2.5e-2, "method.mapping.channels": [8, 8]}
    (run,) = CATALOGUE.runs(
        "table3", "demo", rows=["one-region-gaussian"], seeds=[3], settings=tuned.chosen_settings(values)
    )
    assert run_id(tuned.run_with(values, 3)) == run.id


def test_confirmation_trains_baseline_row_and_choice_with_other_seeds(resolve: Resolve) -> None:
    tuned = resolve(SPACE + "set: {dataset: {train_images: 8}, method: {weight: 0.7}}\nepochs: 1\nconfirm: [5, 6]")
    runs = confirmation_runs(tuned, CATALOGUE, {"method.contrast.temperature": 2.5})
    assert [(run.row.id, run.spec.seed) for run in runs] == [
        (row, seed)
        for row in ("one-patch-vector", "one-region-gaussian", "one-region-gaussian-tuned")
        for seed in (5, 6)
    ]
    # All on the profile's images and epochs: only the method differs between the row and its tuned version.
    row, chosen = runs[2].spec, runs[4].spec
    assert row.model_copy(update={"method": chosen.method}) == chosen
    assert chosen.method.weight == 0.7  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="confirm"):
        confirmation_runs(resolve(SPACE + "confirm: []"), CATALOGUE, {"method.contrast.temperature": 2.5})


def test_the_chosen_row_in_a_table_is_the_confirmed_one(resolve: Resolve, tmp_path: Path) -> None:
    # The profile sets the weight, too.
    tuned = resolve(SPACE + "  method.weight: {log: [0.01, 10]}\n")
    values = {"method.contrast.temperature": 2.5, "method.weight": 0.5}
    row = tuned.chosen_row(values)
    spec = tuned.run_with(values, 0)
    document = yaml.safe_load((SHIPPED / "experiments" / "table3.yaml").read_text())
    document["rows"].append(row.model_dump(mode="json", exclude_defaults=True))
    folder = tmp_path / "experiments"
    (folder / "profiles").mkdir(parents=True)
    (folder / "profiles" / "demo.yaml").write_text((SHIPPED / "experiments" / "profiles" / "demo.yaml").read_text())
    (folder / "table3.yaml").write_text(yaml.safe_dump(document))
    (run,) = Catalogue(folder).runs("table3", "demo", rows=[row.id])
    assert run.id == run_id(spec)


def test_requirements_of_a_study(resolve: Resolve) -> None:
    runs = needed_runs(resolve(SPACE + "seeds: [0, 7]\nconfirm: []"), CATALOGUE)
    assert [(run.row.id, run.spec.seed) for run in runs] == [
        (row, seed) for seed in (0, 7) for row in ("one-region-gaussian", "one-patch-vector")
    ]


def test_enqueued_configurations_are_complete_inside_and_distinct(resolve: Resolve) -> None:
    space = SPACE + "  method.weight: {log: [0.01, 10]}\n"
    tuned = resolve(space + "enqueue: [{}, {method.contrast.temperature: 5.4}, {method.weight: 1}]")
    assert tuned.enqueued() == [
        {"method.contrast.temperature": 5.4, "method.weight": 0.1},
        {"method.contrast.temperature": 5.4, "method.weight": 1},
    ]
    outside = "space:\n  method.contrast.temperature: {log: [0.01, 1]}\n"
    assert resolve(outside).enqueued() == []


def test_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "mine.yaml").write_text(HEAD + SPACE)
    monkeypatch.chdir(tmp_path)
    assert find_study("mine").spec.title == "Mine"
    assert find_study("covariance").spec.table == "table3"
    with pytest.raises(UsageError, match=r"no study 'covarianc'; did you mean 'covariance'"):
        find_study("covarianc")
    path = tmp_path / "other.yaml"
    path.write_text(HEAD + SPACE)
    with pytest.raises(SpecError, match=r"other.yaml:1: study: must be the file's name 'other'"):
        find_study(str(path))
