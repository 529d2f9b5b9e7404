from functools import lru_cache
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import Document
from rdc_sweeps.specs.fields import at_path
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.study import GridSampler, StudySpec
from rdc_sweeps.tuning.search import grid, suggest, to_parameters, to_values
from rdc_sweeps.tuning.tuned_row import StudyFile, TunedRow, read_study, resolve_study

SHIPPED = Path(__file__).parents[2]
CATALOGUE = Catalogue(SHIPPED / "experiments")


def drawn(tuned: TunedRow, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values, and the parameters that Optuna keeps for them."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    values = {path: suggest(trial, path, one) for path, one in tuned.spec.space.items()}
    return values, trial.params


@lru_cache
def shipped(name: str, profile: str) -> TunedRow:
    """A shipped study under a profile."""
    return resolve_study(read_study(SHIPPED / "sweeps" / f"{name}.yaml"), CATALOGUE, profile)


@pytest.mark.parametrize("name", ["covariance", "contrast"])
@pytest.mark.parametrize("profile", CATALOGUE.profiles)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_is_drawn_is_a_run_with_these_values(name: str, profile: str, seed: int) -> None:
    tuned = shipped(name, profile)
    values, parameters = drawn(tuned, seed)
    run = tuned.run_with(values, 5)
    assert run.seed == 5
    data = run.model_dump(mode="json")
    assert {path: at_path(data, path) for path in values} == values
    assert run.model_copy(update={"method": tuned.run.method, "seed": tuned.run.seed}) == tuned.run
    assert RunSpec.model_validate(data) == run
    assert to_parameters(tuned.spec.space, values) == parameters
    assert to_values(tuned.spec.space, parameters) == values


RANGES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "method.weight": st.tuples(st.floats(-1, 5), st.floats(0.01, 9)).map(lambda ends: {"uniform": list(ends)}),
    "method.contrast.covariance.shrinkage": st.one_of(
        st.tuples(st.floats(-0.2, 1.2), st.floats(0, 1.2)).map(lambda ends: {"uniform": list(ends)}),
        st.just({"choice": ["oas", 0.5]}),
    ),
    "method.contrast.temperature": st.floats(1e-9, 1).map(lambda low: {"log": [low, 2.0]}),
    "method.region_stride": st.one_of(
        st.integers(0, 12).map(lambda high: {"integer": [1, high]}),
        st.integers(1, 16).map(lambda high: {"integer": [1, high], "log": True}),
        st.just({"choice": [1, 2, 4, 8]}),
    ),
    "method.mapping.channels": st.lists(
        st.lists(st.integers(0, 8), max_size=7), min_size=2, max_size=3, unique_by=tuple
    ).map(lambda lists: {"choice": lists}),
    "method.min_pixels": st.tuples(st.integers(0, 5), st.integers(3, 50), st.integers(1, 5)).map(
        lambda ends: {"integer": [ends[0], ends[0] + ends[1] // ends[2] * ends[2]], "step": ends[2]}
    ),
    "training.batch_size": st.integers(2, 30).map(lambda high: {"integer": [1, high]}),
}


@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from(sorted(RANGES)), min_size=1), st.data(), st.integers(0, 999))
def test_a_space_that_is_accepted_draws_runs_only(paths: set[str], data: st.DataObject, seed: int) -> None:
    space = {path: data.draw(RANGES[path]) for path in sorted(paths)}
    written = {"study": "a", "title": "A", "table": "table3", "row": "one-region-gaussian", "space": space}
    try:
        spec = StudySpec.model_validate(written)
        tuned = resolve_study(StudyFile(spec, Document(written)), CATALOGUE, "demo")
    except (SpecError, ValueError):
        return
    for number in range(5):
        values, _ = drawn(tuned, seed + number)
        tuned.run_with(values, 0)
    corners = spec.model_copy(update={"sampler": GridSampler(points=3)})
    for values in (grid(corners) or [])[:200]:
        tuned.run_with(values, 0)


def test_labels_of_choices_keep_their_types() -> None:
    written = {
        "study": "a",
        "title": "A",
        "table": "t",
        "row": "r",
        "space": {"x": {"choice": [True, 1, None, [1, 2]]}},
    }
    space = StudySpec.model_validate(written).space
    for value in (True, 1, None, [1, 2]):
        found = to_values(space, to_parameters(space, {"x": value}))["x"]
        assert (found, type(found)) == (value, type(value))
