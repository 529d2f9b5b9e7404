"""Comparisons of a few items at a time, each with its gradient, so that what gradients need is not kept for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import runs_eagerly
from rdc_sweeps.contrast.cells import Record, map_tensors, tensors
from rdc_sweeps.contrast.outcome import ItemOutcomes

Compare = Callable[[Record, slice], ItemOutcomes]
"""From what some items compare, and which of all items they are."""


def compare_in_turns(compare: Compare[Record], compared: Record, number: int | None) -> ItemOutcomes:
    """Compare N items that do not depend on each other, in turns.

    The gradient of an item's loss is found right after the loss, and only multiplied in the backward pass, which can be
    differentiated no further.

    Args:
        compare: Compares some of the items.
        compared: A record of tensors (N, ...).
        number: Items in a turn. Without it, or if gradients are not wanted, all of them are compared at once.
    """
    leaves = [values for values in tensors(compared) if values.requires_grad]
    items = len(next(tensors(compared)))
    if number is None or number >= items or not leaves or not torch.is_grad_enabled():
        return compare(compared, slice(0, items))
    return _in_turns(compare, compared, items, number, leaves)


@runs_eagerly
def _in_turns(
    compare: Compare[Record], compared: Record, items: int, number: int, leaves: list[Tensor]
) -> ItemOutcomes:
    outcomes, gradients = [], []
    for start in range(0, items, number):
        turn = slice(start, min(start + number, items))
        part = _own(compared, turn)
        found = compare(part, turn)
        inputs = [values for values in tensors(part) if values.requires_grad]
        gradients.append(torch.autograd.grad(found.losses.sum(), inputs, allow_unused=True, materialize_grads=True))
        outcomes.append(ItemOutcomes(*(values.detach() for values in found)))
    joined = ItemOutcomes(*(torch.cat(values) for values in zip(*outcomes, strict=True)))
    found_gradients = [torch.cat(parts) for parts in zip(*gradients, strict=True)]
    losses: Tensor = _WithGradients.apply(joined.losses, found_gradients, *leaves)
    return joined._replace(losses=losses)


def _own(compared: Record, turn: slice) -> Record:
    """The items of a turn, in a graph of their own."""
    return map_tensors(compared, lambda values: values[turn].detach().requires_grad_(values.requires_grad))


class _WithGradients(torch.autograd.Function):
    """Losses (N,) with known gradients: `apply(losses, gradients [(N, ...)], *values [(N, ...)])`."""

    @staticmethod
    def forward(ctx: Any, losses: Tensor, gradients: list[Tensor], *_: Tensor) -> Tensor:
        """The losses."""
        ctx.save_for_backward(*gradients)
        return losses.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to the values."""
        return None, None, *(known * weights.view(-1, *(1,) * (known.dim() - 1)) for known in ctx.saved_tensors)
