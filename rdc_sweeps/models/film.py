"""Normalisation, scale, shift and ReLU of maps in one pass, compiled with Numba.

As single operations each of them reads and writes all maps, and keeps a copy of them for the backward pass. Here the
forward pass reads them twice and writes once, the backward pass reads twice and writes once, and only what comes in is
kept. The output may have a border of reflected pixels, which the next convolution needs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.compiled import compiled
from rdc_sweeps.processes.threads import in_threads

Array = NDArray[Any]

SAMPLED_ROWS = 16
"""Rows of a map whose mean is near enough to that of all."""


def normalise(
    parts: Sequence[Tensor], groups: Sequence[int], scale: Tensor, shift: Tensor, eps: float, *, border: bool
) -> Tensor:
    """relu(scale x + shift) of maps x normalised by the mean and variance of their group, channel by channel.

    Args:
        parts: Tensors (N_i, C, H, W) on a CPU, in float32 or float64, N maps together.
        groups: Numbers of consecutive maps that are normalised together; each group is within one part.
        scale: Tensor (N, C).
        shift: Tensor (N, C).
        eps: Added to variances.
        border: Whether to surround each map by one reflected pixel.

    Returns:
        Tensor (N, C, H, W), or (N, C, H + 2, W + 2) with the border, channels last in memory.
    """
    maps: Tensor = _Normalise.apply(scale, shift, tuple(groups), eps, border, *parts)
    return maps


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, scale: Tensor, shift: Tensor, groups: tuple[int, ...], eps: float, border: bool, *parts: Tensor
    ) -> Tensor:
        """See `normalise`."""
        arrays = [_pixels(part) for part in parts]
        dtype, (height, width, channels) = arrays[0].dtype, arrays[0].shape[1:]
        moments = np.empty((2, len(scale), channels))
        for array, items in _with_items(arrays):
            _in_threads(_moments, array, moments[:, items])
        mean = _group_means(moments[0], groups)
        deviation = np.sqrt(_group_means(moments[1] + (moments[0] - mean) ** 2, groups) + eps)
        exact = scale.detach().numpy() / deviation
        factor, constant = exact.astype(dtype), (shift.detach().numpy() - mean * exact).astype(dtype)
        edge = int(border)
        out = np.empty((len(scale), height + 2 * edge, width + 2 * edge, channels), dtype)
        for array, items in _with_items(arrays):
            _in_threads(_rectify, array, factor[items], constant[items], edge, out[items])
        ctx.save_for_backward(*parts)
        ctx.statistics = scale.detach().numpy(), mean, deviation, factor, constant
        ctx.groups, ctx.edge = groups, edge
        return torch.from_numpy(out).permute(0, 3, 1, 2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to scale, shift and the parts."""
        arrays, coming = [_pixels(part) for part in ctx.saved_tensors], _pixels(gradient)
        scale, mean, deviation, factor, constant = ctx.statistics
        dtype, middle = factor.dtype, mean.astype(factor.dtype)
        sums = np.empty((2, *scale.shape))
        for array, items in _with_items(arrays):
            _in_threads(
                _sums, array, factor[items], constant[items], middle[items], ctx.edge, coming[items], sums[:, items]
            )
        # Of the gradient where it passes the ReLU, and of its product with the normalised maps.
        plain, along = sums[0], sums[1] / deviation
        pixels = arrays[0].shape[1] * arrays[0].shape[2]
        rest = (-_group_means(scale * plain, ctx.groups) / (deviation * pixels)).astype(dtype)
        slope = (-_group_means(scale * along, ctx.groups) / (deviation**2 * pixels)).astype(dtype)
        inner = []
        for array, items in _with_items(arrays):
            out = np.empty_like(array)
            of_items = (values[items] for values in (factor, constant, middle, slope, rest))
            _in_threads(_inner, array, *of_items, ctx.edge, coming[items], out)
            inner.append(torch.from_numpy(out).permute(0, 3, 1, 2))
        first, second = (torch.from_numpy(values.astype(dtype)) for values in (along, plain))
        return first, second, None, None, None, *inner


def _pixels(maps: Tensor) -> Array:
    """Maps (N, C, H, W) as an array (N, H, W, C) that is in this order in memory."""
    pixels: Array = maps.detach().permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


def _with_items(arrays: Sequence[Array]) -> Iterator[tuple[Array, slice]]:
    """Parts with their places among all maps."""
    last = 0
    for array in arrays:
        first, last = last, last + len(array)
        yield array, slice(first, last)


def _in_threads(work: Any, pixels: Array, *arguments: Any) -> None:
    in_threads(lambda first, last: work(first, last, pixels, *arguments), len(pixels), torch.get_num_threads())


def _group_means(values: Array, groups: Sequence[int]) -> Array:
    """For each map, the mean of values (N, C) over the maps of its group."""
    sizes = np.array(groups)
    means: Array = np.add.reduceat(values, np.cumsum(sizes) - sizes, axis=0) / sizes[:, None]
    return means.repeat(sizes, axis=0)


@compiled(fastmath={"contract"})
def _moments(first: int, last: int, pixels: Array, moments: Array) -> None:
    """Mean and variance of each map, moments (2, N, C)."""
    _, height, width, channels = pixels.shape
    row = np.empty((2, channels), pixels.dtype)
    for item in range(first, last):
        # Squares are summed around the mean of some rows, since they would cancel around 0.
        step = max(height // SAMPLED_ROWS, 1)
        total, squares = np.zeros(channels), np.zeros(channels)
        sampled = 0
        for y in range(0, height, step):
            row[:] = 0
            for x in range(width):
                for c in range(channels):
                    row[0, c] += pixels[item, y, x, c]
            total += row[0]
            sampled += width
        centre = (total / sampled).astype(pixels.dtype)
        total[:] = 0
        for y in range(height):
            row[:] = 0
            for x in range(width):
                for c in range(channels):
                    value = pixels[item, y, x, c] - centre[c]
                    row[0, c] += value
                    row[1, c] += value * value
            total += row[0]
            squares += row[1]
        mean = total / (height * width)
        moments[0, item] = centre + mean
        moments[1, item] = squares / (height * width) - mean * mean


@compiled(fastmath={"contract"})
def _rectify(first: int, last: int, pixels: Array, factor: Array, constant: Array, edge: int, out: Array) -> None:
    """The output, with its border."""
    _, height, width, channels = pixels.shape
    zero = pixels.dtype.type(0)
    for item in range(first, last):
        scale, shift, result = factor[item], constant[item], out[item]
        for y in range(height):
            source, target = pixels[item, y], result[y + edge]
            for x in range(width):
                for c in range(channels):
                    value = source[x, c] * scale[c] + shift[c]
                    target[x + edge, c] = zero if value <= zero else value  # NaN stays
            if edge:
                target[0] = target[2]
                target[width + 1] = target[width - 1]
        if edge:
            result[0] = result[2]
            result[height + 1] = result[height - 1]


@compiled()
def _unfolded(coming: Array, y: int, edge: int, row: Array) -> None:
    """Write the gradient (W, C) of row y of a map, with that of its reflections in the border, to `row`."""
    width, height = len(row), len(coming) - 2 * edge
    row[:] = coming[y + edge, edge : edge + width]
    if edge:
        _add_ends(coming[y + 1], row)
        if y == 1:
            row += coming[0, 1 : 1 + width]
            _add_ends(coming[0], row)
        if y == height - 2:
            row += coming[height + 1, 1 : 1 + width]
            _add_ends(coming[height + 1], row)


@compiled()
def _add_ends(bordered: Array, row: Array) -> None:
    row[1] += bordered[0]
    row[len(row) - 2] += bordered[len(row) + 1]


@compiled(fastmath={"contract"})
def _sums(
    first: int,
    last: int,
    pixels: Array,
    factor: Array,
    constant: Array,
    middle: Array,
    edge: int,
    coming: Array,
    sums: Array,
) -> None:
    """Sums (2, N, C) of the gradient that passes the ReLU, and of its product with the maps less their mean."""
    _, height, width, channels = pixels.shape
    row, part = np.empty((width, channels), pixels.dtype), np.empty((2, channels), pixels.dtype)
    zero = pixels.dtype.type(0)
    for item in range(first, last):
        scale, shift, mean = factor[item], constant[item], middle[item]
        total = np.zeros((2, channels))
        for y in range(height):
            _unfolded(coming[item], y, edge, row)
            source = pixels[item, y]
            part[:] = 0
            for x in range(width):
                for c in range(channels):
                    value = source[x, c]
                    passed = row[x, c] if value * scale[c] + shift[c] > zero else zero
                    part[0, c] += passed
                    part[1, c] += passed * (value - mean[c])
            total += part
        sums[:, item] = total


@compiled(fastmath={"contract"})
def _inner(
    first: int,
    last: int,
    pixels: Array,
    factor: Array,
    constant: Array,
    middle: Array,
    slope: Array,
    rest: Array,
    edge: int,
    coming: Array,
    out: Array,
) -> None:
    """The gradient with respect to the maps: factor times what passes the ReLU, plus slope (x - middle) + rest."""
    _, height, width, channels = pixels.shape
    row = np.empty((width, channels), pixels.dtype)
    zero = pixels.dtype.type(0)
    for item in range(first, last):
        scale, shift = factor[item], constant[item]
        mean, tilt, common = middle[item], slope[item], rest[item]
        for y in range(height):
            _unfolded(coming[item], y, edge, row)
            source, target = pixels[item, y], out[item, y]
            for x in range(width):
                for c in range(channels):
                    value = source[x, c]
                    passed = row[x, c] if value * scale[c] + shift[c] > zero else zero
                    target[x, c] = passed * scale[c] + (value - mean[c]) * tilt[c] + common[c]
