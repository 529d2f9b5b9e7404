"""A part of the package with its reference, and how far the two are apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Differences:
    """Largest differences between the package and its reference.

    Attributes:
        agreed: With the field's value that stands for the reference.
        otherwise: With another value of the fields; None if there is nothing to switch.
    """

    agreed: float
    otherwise: float | None = None


@dataclass(frozen=True)
class Component:
    """A line of the table.

    Attributes:
        name: What is compared, and the unit of the differences if it is not that of the values.
        reference: Where it comes from: a paper's equation or whose code.
        measure: Computes the differences in float64.
        settings: The reference's values of the fields that switch it, by their paths in a run's spec.
        remark: What else there is to say about switching it.
        bound: The largest difference that is still equality.
    """

    name: str
    reference: str
    measure: Callable[[], Differences]
    settings: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""
    bound: float = 1e-12


def largest(one: Tensor | float, other: Tensor | float) -> float:
    """The largest absolute difference of two tensors or numbers."""
    sides = (torch.as_tensor(side, dtype=torch.float64).detach() for side in (one, other))
    return float(torch.sub(*sides).abs().max())


def largest_of(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """The largest absolute difference of tensors with the same names."""
    return max(largest(tensor, expected[name]) for name, tensor in _same_names(found, expected).items())


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference of two tensors, in standard deviations of the expected one."""
    return largest(found, expected) / float(expected.std())


def relative_of(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """The largest `relative` difference of tensors with the same names."""
    return max(relative(tensor, expected[name]) for name, tensor in _same_names(found, expected).items())


def _same_names(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if found.keys() != expected.keys() or not found:
        raise ValueError(f"different tensors: {sorted(found.keys() ^ expected.keys())}")
    return found
