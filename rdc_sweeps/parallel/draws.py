"""Noise of a process's items that is the noise which one process with all items would draw."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Share:
    """Which items are this process's: from `first` on, among the `total` of all processes."""

    first: int
    total: int


def drawn(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...], share: Share | None) -> Tensor:
    """Noise of shape (N, ...).

    With a share, the noise of all processes' items is drawn and this process's is cut out. That costs little beside
    what is done with it, and leaves the generator where it is in the other processes.

    Args:
        draw: Makes noise of a shape.
        shape: (N, ...) for the N items of this process.
        share: Where they are among the others; None: there are no others.
    """
    if share is None:
        return draw(shape)
    return draw((share.total, *shape[1:]))[share.first : share.first + shape[0]]
