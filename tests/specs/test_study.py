"""Study files as the schema and editors see them, and the ranges of a search space."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.ranges import ChoiceRange, IntegerRange, LogRange, Range, UniformRange
from rdc_sweeps.specs.schema import json_schema
from rdc_sweeps.specs.study import StudySpec

SHIPPED = Path(__file__).parents[2]
STUDIES = sorted((SHIPPED / "sweeps").glob("*.yaml"))


def test_shipped_schema_is_up_to_date() -> None:
    """Else: `rdc-sweep schema study > experiments/schema/study.schema.json`."""
    schema = read_document(SHIPPED / "experiments" / "schema" / "study.schema.json").data
    assert schema == json_schema("study")
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_name_and_fit_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../experiments/schema/study.schema.json"
    assert list(Draft202012Validator(json_schema("study")).iter_errors(read_document(path).data)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"method.weight": {"log": [0, 1]}}},
        {"space": {"method.weight": {"from": [0, 1]}}},
        {"space": {}},
        {"set": {"trainign": {"epochs": 1}}},
        {"set": ["training.epochs"]},
        {"sampler": {"name": "cma"}},
    ],
)
def test_editors_find_faults(changes: dict[str, Any]) -> None:
    data = {**read_document(STUDIES[0]).data, **changes}
    assert list(Draft202012Validator(json_schema("study")).iter_errors(data))


def test_editors_offer_what_may_be_tuned() -> None:
    offered = json_schema("study")["properties"]["space"]["properties"]
    assert set(read_document(SHIPPED / "sweeps" / "contrast.yaml").data["space"]) <= set(offered)
    assert "training.network.learning_rate" in offered
    assert not {"seed", "dataset.size", "labels.setting", "training.epochs", "method.name"} & set(offered)


finite = st.floats(-1e6, 1e6)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = sorted(draw(st.lists(finite, min_size=2, max_size=2, unique=True)))
    kind = draw(st.sampled_from(["uniform", "log", "integer", "choice"]))
    if kind == "uniform":
        return UniformRange(uniform=(low, high))
    if kind == "log":
        return LogRange(log=(1e-6 + abs(low), 1e-5 + abs(low) + abs(high)))
    if kind == "integer":
        step = draw(st.integers(1, 9))
        return IntegerRange(integer=(int(low), int(low) + step * draw(st.integers(1, 3000))), step=step)
    return ChoiceRange(choice=tuple(draw(st.lists(st.integers() | st.text(), min_size=2, max_size=5, unique=True))))


@given(ranges(), st.integers(2, 7))
def test_probes_and_grids_stay_inside(drawn: Range, points: int) -> None:
    for value in [*drawn.probes(), *drawn.grid(points)]:
        assert drawn.contains(value) or isinstance(value, float)
    if not isinstance(drawn, ChoiceRange):
        assert drawn.grid(points)[0] == drawn.probes()[0]
        assert drawn.grid(points)[-1] == pytest.approx(drawn.probes()[1])


def test_true_is_not_one() -> None:
    assert ChoiceRange(choice=(True, 1)).choice == (True, 1)
    assert not ChoiceRange(choice=(2, 1)).contains(True)
    assert not UniformRange(uniform=(0, 1)).contains(True)


def test_a_study_is_frozen() -> None:
    spec = StudySpec.model_validate(read_document(STUDIES[0]).data)
    with pytest.raises(ValueError, match="frozen"):
        spec.trials = 3  # type: ignore[misc]
