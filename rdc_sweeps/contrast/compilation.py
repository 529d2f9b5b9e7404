"""What torch.compile leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
T = TypeVar("T")


def runs_eagerly(function: Callable[P, T]) -> Callable[P, T]:
    """Keep a function out of compiled graphs: its time is in library calls whose sequence depends on the data."""
    eager: Callable[P, T] = torch.compiler.disable(function)
    return eager
