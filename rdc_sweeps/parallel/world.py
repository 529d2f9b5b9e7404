"""Communication between the processes that train one run; with one process, every operation is trivial.

All processes must call the same methods in the same order. Values on the host go through gloo and values on a GPU
through NCCL, so that exchanging host values never waits for a GPU.

Gradients are summed here, after the backward pass, and not by torch's DistributedDataParallel. DDP sums them while the
backward pass still runs, interleaved with the collectives of the shared batch norms, in an order that depends on which
parameters a process uses. A process that has no pair of tasks to contrast uses fewer than the others, and then the
processes wait for each other for ever.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rdc_sweeps.errors import InfrastructureError

BUCKET = 2**24
"""Numbers per all-reduce of gradients: bounds the memory of their flattened copy."""


def _no_check() -> None:
    """A single process has no others that could fail."""


@dataclass(frozen=True)
class World:
    """The group of processes that train one run, as one of them sees it.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        check: Raises if another process is known to have failed.
    """

    rank: int = 0
    size: int = 1
    check: Callable[[], None] = _no_check

    def broadcast_flag(self, flag: bool) -> bool:
        """The flag of rank 0, whatever that of the others."""
        if self.size == 1:
            return flag
        value = torch.tensor(int(flag))
        with self._collective():
            dist.broadcast(value, src=0)
        return bool(value)

    def any_rank(self, flags: Sequence[bool]) -> list[bool]:
        """Which of the flags are set in at least one process."""
        if self.size == 1:
            return list(flags)
        value = torch.tensor(flags, dtype=torch.int32)
        with self._collective():
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return [bool(flag) for flag in value.tolist()]

    def sum(self, values: Tensor) -> Tensor:
        """Sum over processes, in place; all of them get the same bits."""
        if self.size > 1:
            with self._collective():
                dist.all_reduce(values)
        return values

    def gather(self, values: Tensor) -> Tensor:
        """The values of every process, Tensor (size, ...)."""
        parts = [torch.empty_like(values) for _ in range(self.size)]
        with self._collective():
            dist.all_gather(parts, values)
        return torch.stack(parts)

    def gather_rows(self, values: Tensor) -> tuple[Tensor, slice]:
        """The rows of every process one after the other, and which of them are this process's.

        Args:
            values: Tensor (n, ...), with another n in each process.
        """
        numbers = [len(values)] if self.size == 1 else self.gather(torch.tensor(len(values))).tolist()
        first = sum(numbers[: self.rank])
        own = slice(first, first + len(values))
        if self.size == 1:
            return values, own
        padded = values.new_zeros(max(numbers), *values.shape[1:])
        padded[: len(values)] = values
        parts = zip(self.gather(padded), numbers, strict=True)
        return torch.cat([part[:number] for part, number in parts]), own

    def mean(self, values: Mapping[str, Tensor], counts: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Means over the items of all processes, from means over the items of each.

        Args:
            values: Scalars by name, the same names in every process; a value over no items may be NaN.
            counts: Number of items that a value of this process is the mean of, where it is not `count`.
            count: Number of images of this process.
        """
        if self.size == 1:
            return dict(values)
        device = next(iter(values.values())).device
        weights = torch.stack([torch.as_tensor(counts.get(name, count), device=device).double() for name in values])
        means = torch.stack([value.detach().double() for value in values.values()])
        total, weight = self.sum(torch.stack([torch.where(weights > 0, means * weights, 0.0), weights])).unbind()
        return dict(zip(values, total / weight, strict=True))

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace each gradient by its sum over processes.

        A gradient that this process lacks and another has counts as zero; one that no process has stays None.
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

    def broadcast_parameters(self, module: nn.Module) -> None:
        """Copy the parameters and buffers of rank 0 to every process."""
        if self.size == 1:
            return
        for value in module.state_dict().values():
            # Gloo takes contiguous tensors only.
            contiguous = value.contiguous()
            with self._collective():
                dist.broadcast(contiguous, src=0)
            value.copy_(contiguous)

    @contextmanager
    def _collective(self) -> Iterator[None]:
        self.check()
        try:
            yield
        except RuntimeError as error:
            raise InfrastructureError(f"rank {self.rank} lost the other ranks: {error}") from error


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Split tensors, in order, into lists of one dtype and at most about BUCKET numbers."""
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
    """The group that this process belongs to."""
    return _worlds[-1]


@contextmanager
def joined(one: World) -> Iterator[None]:
    """Make `one` the world of this process while inside; torch.distributed must be initialised for it."""
    _worlds.append(one)
    try:
        yield
    finally:
        _worlds.pop()
