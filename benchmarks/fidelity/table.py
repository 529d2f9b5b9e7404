"""The table of components as a page of the documentation."""

import math
from collections.abc import Iterable
from pathlib import Path

import yaml

from benchmarks.fidelity.component import Component, Differences

PAGE = Path(__file__).parents[2] / "docs" / "fidelity.md"

HEAD = """<!-- Written by `python -m benchmarks.fidelity`: change that, not this file. -->

# Fidelity

How far each component is from what it stands for: an equation of the paper, the authors' released code, the code of Li
et al. (CVPR 2022), or a definition. References are transcriptions (`benchmarks/fidelity/references`): plain code, one
image and one pair of tasks at a time, which imports nothing of the package. Tests measure every line again, and use the
same references.

- *difference*: the largest over all values, in float64 unless the line says otherwise, with the fields of the last
  column. Rounding errors are rounded up to a power of ten, others to one digit; 0 if nothing differs at all.
- *otherwise*: the same with another value of these fields, which is what the switch changes.
- *fields*: what switches the component, with the value that agrees with the reference. In the profile `paper` they have
  the values of the paper where it gives any; `--compat released` sets those of the released code.

| component | reference | difference | otherwise | fields |
|---|---|---|---|---|
"""

FOOT = """
What stays different, on purpose:

- An image without a valid pixel of a task whose label it has: its loss is 0 here, not a number in the authors' codes.
- Normals whose components add up to exactly 0 are invalid in the authors' codes, here only the zero vector is.
- Depth maps whose maximum is below a thousandth are not divided by it; the authors' codes divide by any, also by a
  negative one.
- The epoch that counts: the authors' codes take the one with the highest mean gain on the test set over fixed results
  of single-task networks, by their meters; `best-test` takes the gain over the run's own last epoch, by the honest
  meters.
- Random numbers: order, crops, Gumbel samples and initial weights are drawn in another way, from the seed.
"""

ROUNDING = 1e-9
"""Differences below this are rounding errors, which depend on the CPU."""


def page(measured: Iterable[tuple[Component, Differences]]) -> str:
    """The page with a line for each component."""
    return HEAD + "".join(line(component, differences) for component, differences in measured) + FOOT


def line(component: Component, differences: Differences) -> str:
    """A line of the table."""
    otherwise = "" if differences.otherwise is None else _rounded(differences.otherwise)
    columns = (component.name, component.reference, _rounded(differences.agreed), otherwise, fields_of(component))
    return f"| {' | '.join(columns)} |\n"


def _rounded(difference: float) -> str:
    if 0 < difference < ROUNDING:
        return f"{10.0 ** math.ceil(math.log10(difference)):.0e}"
    return f"{difference:.0g}"


def fields_of(component: Component) -> str:
    """The last column: fields with their values, and the remark."""
    fields = [f"`{path}: {_plain(value)}`" for path, value in component.settings.items()]
    return "; ".join([*([", ".join(fields)] if fields else []), *([component.remark] if component.remark else [])])


def _plain(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()
