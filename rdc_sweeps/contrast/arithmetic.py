"""Numerical settings of the contrast: float32 or better even under autocast, and partly outside compiled graphs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Draw = Callable[[tuple[int, ...]], Tensor]
"""Returns uniform random numbers in [0, 1) of a shape (N, ...), for N items, on the device of their features."""

P = ParamSpec("P")
T = TypeVar("T")


def readable(values: Tensor) -> bool:
    """Whether the host may look at values: on a CPU. Elsewhere it would wait for the device."""
    return values.device.type == "cpu"


def full_precision(like: Tensor) -> AbstractContextManager[object]:
    """A context with autocast off for the device of `like`."""
    device = like.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def promote(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one common type: float64 if any of them is float64, else float32."""
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return tuple(tensor.to(torch.float64 if double else torch.float32) for tensor in tensors)


def runs_eagerly(function: Callable[P, T]) -> Callable[P, T]:
    """Keep a function out of compiled graphs: it consists of library calls whose sequence depends on the data."""
    eager: Callable[P, T] = torch.compiler.disable(function)
    return eager
