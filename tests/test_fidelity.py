"""Every component agrees with its reference, and the page of the documentation lists all of them."""

import pytest
import torch

from benchmarks.fidelity.component import Component, Differences
from benchmarks.fidelity.components import COMPONENTS
from benchmarks.fidelity.table import PAGE, line, page
from rdc_sweeps.specs.fields import has_path
from rdc_sweeps.specs.run import RunSpec
from tests.specs.test_compat import lines


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _marks(component: Component) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if component.name.startswith("three training steps") else []


@pytest.mark.parametrize("component", [pytest.param(one, id=one.name, marks=_marks(one)) for one in COMPONENTS])
def test_a_component_agrees_with_its_reference(component: Component) -> None:
    differences = component.measure()
    assert differences.agreed <= component.bound
    if differences.otherwise is not None:
        # A field that changes nothing, or a reference that cannot tell, would be no evidence.
        assert differences.otherwise > max(100 * component.bound, 1e-5)


def test_what_switches_a_component_are_fields_of_runs() -> None:
    switched = [path for component in COMPONENTS for path in component.settings]
    assert len(switched) > 10
    assert [path for path in switched if not has_path(RunSpec, path.split("."))] == []


def test_every_difference_of_the_released_code_is_compared() -> None:
    compared = {path for component in COMPONENTS for path in component.settings}
    assert set(lines("released")) - compared == set()


def split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The page without its numbers, and the numbers of each line."""
    kept, numbers = [], []
    for row in text.splitlines():
        columns = row.split(" | ")
        if len(columns) == 5 and columns[0] != "| component":
            numbers.append((columns[2], columns[3]))
            columns[2:4] = []
        kept.append(" | ".join(columns))
    return "\n".join(kept), numbers


def test_the_page_is_current() -> None:
    text, numbers = split(PAGE.read_text(encoding="utf-8"))
    expected, _ = split(page((component, Differences(0.0, 1.0)) for component in COMPONENTS))
    assert text == expected, "run `python -m benchmarks.fidelity`"
    for component, (agreed, _) in zip(COMPONENTS, numbers, strict=True):
        assert float(agreed) <= component.bound, component.name


def test_rounding_errors_look_the_same_on_every_cpu() -> None:
    lines = {line(COMPONENTS[0], Differences(agreed)) for agreed in (1.1e-15, 7e-15)}
    assert len(lines) == 1
    assert " | 1e-14 | " in lines.pop()
