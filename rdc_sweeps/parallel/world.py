"""What the processes of one training say to each other; nothing, if there is only one.

Every process calls the same methods in the same order. What is on the host goes through gloo, what is on a GPU through
NCCL, so that no agreement about host values waits for a GPU.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rdc_sweeps.errors import InfrastructureError

BUCKET = 2**24
"""Numbers that are summed at once: bounds what gradients need a second time."""


def _nothing() -> None:
    """Nobody else can be in trouble."""


@dataclass(frozen=True)
class World:
    """One of the processes of a training.

    Attributes:
        rank: Its number, from 0.
        size: How many there are.
        check: Raises if another one is in trouble.
    """

    rank: int = 0
    size: int = 1
    check: Callable[[], None] = _nothing

    def agreed(self, flag: bool) -> bool:
        """What rank 0 says; only its `flag` counts."""
        if self.size == 1:
            return flag
        said = torch.tensor(int(flag))
        with self._together():
            dist.broadcast(said, src=0)
        return bool(said)

    def anywhere(self, flags: Sequence[bool]) -> list[bool]:
        """Which of the flags are set in at least one process."""
        if self.size == 1:
            return list(flags)
        said = torch.tensor(flags, dtype=torch.int32)
        with self._together():
            dist.all_reduce(said, dist.ReduceOp.MAX)
        return [bool(flag) for flag in said.tolist()]

    def sum(self, values: Tensor) -> Tensor:
        """The sum over processes, in place, the same to the last bit for all of them."""
        if self.size > 1:
            with self._together():
                dist.all_reduce(values)
        return values

    def gathered(self, values: Tensor) -> Tensor:
        """What each process has, Tensor (size, ...)."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        with self._together():
            dist.all_gather(parts, values)
        return torch.stack(parts)

    def mean(self, values: Mapping[str, Tensor], counts: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Scalars that are means over items of each process as means over the items of all.

        Args:
            values: By name, the same names in every process; without items a value may be NaN.
            counts: Of how many items of this process a value is the mean, where it is not `count`.
            count: Images of this process.
        """
        if self.size == 1:
            return dict(values)
        device = next(iter(values.values())).device
        weights = torch.stack([torch.as_tensor(counts.get(name, count), device=device).double() for name in values])
        means = torch.stack([value.detach().double() for value in values.values()])
        total, weight = self.sum(torch.stack([torch.where(weights > 0, means * weights, 0.0), weights])).unbind()
        return dict(zip(values, total / weight, strict=True))

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes; one that only others have counts as zero here.

        One sum after the backward pass instead of DDP's, which overlap with it: those would be interleaved with the
        sums of batch norms in an order that depends on which parameters a share of the batch uses.
        """
        if self.size == 1:
            return
        present = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32)
        gradients = []
        for parameter, somewhere in zip(parameters, self.sum(present).tolist(), strict=True):
            if somewhere:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        for bucket in _buckets(gradients):
            flat = self.sum(torch.cat([gradient.flatten() for gradient in bucket]))
            for gradient, part in zip(bucket, flat.split([gradient.numel() for gradient in bucket]), strict=True):
                gradient.copy_(part.view(gradient.shape))

    def begin_alike(self, module: nn.Module) -> None:
        """Give every process the parameters and buffers of rank 0."""
        if self.size == 1:
            return
        for value in module.state_dict().values():
            # Gloo takes contiguous tensors only.
            whole = value.contiguous()
            with self._together():
                dist.broadcast(whole, src=0)
            value.copy_(whole)

    @contextmanager
    def _together(self) -> Iterator[None]:
        self.check()
        try:
            yield
        except RuntimeError as error:
            raise InfrastructureError(f"rank {self.rank} lost the other ranks: {error}") from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type each, in order, up to about BUCKET numbers at once."""
    bucket: list[Tensor] = []
    numbers = 0
    for tensor in tensors:
        if bucket and (tensor.dtype != bucket[0].dtype or numbers + tensor.numel() > BUCKET):
            yield bucket
            bucket, numbers = [], 0
        bucket.append(tensor)
        numbers += tensor.numel()
    if bucket:
        yield bucket


ALONE = World()

_worlds = [ALONE]


def world() -> World:
    """The world of this process."""
    return _worlds[-1]


@contextmanager
def joined(one: World) -> Iterator[None]:
    """While inside, `one` is the world of this process; torch.distributed is initialised for it."""
    _worlds.append(one)
    try:
        yield
    finally:
        _worlds.pop()
