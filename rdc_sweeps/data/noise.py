"""Random numbers of the images of a training step.

A number is a hash of its image's key and of its position in the requested tensor (counter-based, as in Salmon et al.
2011; the hash is the finaliser of SplitMix64, Steele et al. 2014). An image's noise is therefore a function of (seed,
epoch, step, image) alone. It does not depend on the process that has the image, on the image's position in the batch or
on the order in which numbers are drawn, and it is the same on CPUs and GPUs. There is no state, and nothing waits for a
GPU.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rdc_sweeps.errors import UsageError

_NOISE = 0x2015E
"""Separates the keys from the random streams that order and augment the samples."""

_STRIDES = [int(odd) for odd in (np.random.SeedSequence(_NOISE).generate_state(8, np.uint64) | 1).astype(np.int64)]
"""Odd 64-bit numbers: one for each dimension of a tensor after the first, and the last for tags."""

_ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
"""Shifts and factors of SplitMix64's finaliser, as signed numbers."""

_BITS = {torch.float32: 23, torch.float64: 52}
"""Random bits of a number: few enough that rounding never gives 0 or 1."""


@dataclass(frozen=True)
class Noise:
    """The source of random numbers of N items.

    Attributes:
        keys: Tensor (N,) int64, one per item; equal keys give equal numbers.
    """

    keys: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    def to(self, device: torch.device | str) -> "Noise":
        """The same source on a device."""
        return Noise(self.keys.to(device, non_blocking=True))

    def select(self, items: Tensor) -> "Noise":
        """The noise of items (M,) int64 among these; an item may occur more than once."""
        return Noise(self.keys[items.to(self.keys.device, non_blocking=True)])

    def tagged(self, tag: int | Tensor) -> "Noise":
        """Noise for one purpose, independent of the noise for other tags and of the untagged noise.

        Args:
            tag: One tag for all items, or Tensor (N,) int64 with one per item; not negative.
        """
        tag = tag.to(self.keys.device, non_blocking=True) if isinstance(tag, Tensor) else self.keys.new_full((), tag)
        return Noise(_hashed(self.keys + (tag + 1) * _STRIDES[-1]))

    def uniform(self, shape: Sequence[int], dtype: torch.dtype = torch.float64) -> Tensor:
        """Uniform random numbers in the open interval (0, 1).

        A number depends on its item's key and its coordinates, not on the size of the tensor.

        Args:
            shape: (N, ...), up to eight dimensions.
            dtype: float32 or float64.

        Raises:
            UsageError: The shape does not start with N, or has more than eight dimensions.
        """
        if not 1 <= len(shape) <= len(_STRIDES) or shape[0] != len(self):
            raise UsageError(
                f"noise of {len(self)} items must have shape ({len(self)}, ...) of at most {len(_STRIDES)} dimensions, "
                f"not {tuple(shape)}"
            )
        places = torch.zeros((), dtype=torch.int64, device=self.keys.device)
        for dimension, size in enumerate(shape[1:]):
            along = torch.arange(size, device=self.keys.device) * _STRIDES[dimension]
            places = places[..., None] + along
        bits = _hashed(self.keys.view(-1, *(1 for _ in shape[1:])) + places)
        kept = _BITS[dtype]
        bits = bits.bitwise_right_shift_(64 - kept).bitwise_and_(2**kept - 1)
        return bits.to(dtype).add_(0.5).mul_(0.5**kept)

    def normal(self, shape: Sequence[int], dtype: torch.dtype = torch.float64) -> Tensor:
        """Standard normal random numbers (Box & Muller 1958); arguments and errors are those of `uniform`."""
        radius, angle = (self.tagged(tag).uniform(shape, dtype) for tag in range(2))
        return radius.log_().mul_(-2).sqrt_().mul_(angle.mul_(2 * math.pi).cos_())


def content_noise(images: Tensor, salt: Tensor) -> Noise:
    """The noise of images by their pixels: equal images have equal noise, wherever and in whatever batch they are.

    Args:
        images: Tensor (N, ...), floating point.
        salt: Tensor () int64; another one gives other noise.
    """
    bits = images.detach().float().flatten(1).contiguous().view(torch.int32).long()
    places = _hashed(torch.arange(bits.shape[1], device=bits.device))
    return Noise(_hashed((bits * places).sum(dim=1) + salt * _STRIDES[-1]))


def step_noise(seed: int, epoch: int, step: int, images: Sequence[int]) -> Noise:
    """The noise of the images of a step of a run, by their indices in the data set; on the CPU."""
    keys = [np.random.SeedSequence((_NOISE, seed, epoch, step, image)).generate_state(1, np.uint64) for image in images]
    return Noise(torch.from_numpy(np.concatenate(keys).astype(np.int64)))


def _hashed(values: Tensor) -> Tensor:
    """Hashes of int64 values, in place; products wrap around, as unsigned ones do."""
    for shift, factor in _ROUNDS:
        values.bitwise_xor_(_shifted(values, shift)).mul_(factor)
    return values.bitwise_xor_(_shifted(values, 31))


def _shifted(values: Tensor, shift: int) -> Tensor:
    """Logical shift to the right; the shift of a signed type would repeat the sign bit."""
    return values.bitwise_right_shift(shift).bitwise_and_(2 ** (64 - shift) - 1)
