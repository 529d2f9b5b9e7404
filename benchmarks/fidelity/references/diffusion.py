"""DiffusionMTL's Feature Diffusion without noise, as its authors' code computes it (Ye & Xu, CVPR 2024)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.references.layers import Weights, batch_norm, below, bilinear, convolution

VARIANCES = (0.001, 0.01)
BLOCKS = 4
HEADS = 4


def predictions(
    scales: list[Tensor], image_size: tuple[int, int], tasks: tuple[str, ...], weights: Weights, *, training: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """First and denoised predictions at the images' size.

    Args:
        scales: Maps of the encoder, the finest at stride 4.
        image_size: Height and width of the images.
        tasks: Tasks in their order.
        weights: Of everything behind the encoder.
        training: Whether batch norms use the batch.
    """
    size = (scales[0].shape[2] // 2, scales[0].shape[3] // 2)
    shared = convolution(torch.cat([bilinear(scale, size) for scale in scales], dim=1), weights, "embedding")
    features = {}
    for task in tasks:
        decoder = below(weights, f"decoders.{task}.")
        features[task] = _residual(_residual(shared, decoder, "0", training), decoder, "1", training)
    first = {task: convolution(features[task], weights, f"first_heads.{task}") for task in tasks}
    # One convolution of all predictions side by side.
    kernel = torch.cat([weights[f"conditions.{task}.weight"] for task in tasks], dim=1)
    bias = torch.stack([weights[f"conditions.{task}.bias"] for task in tasks]).sum(dim=0)
    condition = F.conv2d(torch.cat([first[task] for task in tasks], dim=1), kernel, bias, padding=1)
    denoiser, denoised = below(weights, "denoiser."), {}
    for task in tasks:
        # Both steps without noise: first the mean of what the second leaves, then that of the posterior of the first.
        clean, kept = features[task], [1 - VARIANCES[0], (1 - VARIANCES[0]) * (1 - VARIANCES[1])]
        noised = math.sqrt(kept[1]) * clean
        clean = _denoised(task, noised, condition, 1, denoiser)
        noised = (VARIANCES[1] * math.sqrt(kept[0]) * clean + (1 - kept[0]) * math.sqrt(1 - VARIANCES[1]) * noised) / (
            1 - kept[1]
        )
        clean = _denoised(task, noised, condition, 0, denoiser)
        denoised[task] = convolution(clean, weights, f"heads.{task}")
    first, denoised = ({task: bilinear(maps[task], image_size) for task in tasks} for maps in (first, denoised))
    return first, denoised


def _residual(maps: Tensor, weights: Weights, name: str, training: bool) -> Tensor:
    hidden = batch_norm(convolution(maps, weights, f"{name}.conv1"), weights, f"{name}.bn1", training=training).relu()
    hidden = batch_norm(convolution(hidden, weights, f"{name}.conv2"), weights, f"{name}.bn2", training=training)
    return (maps + hidden).relu()


def _denoised(task: str, noised: Tensor, condition: Tensor, step: int, weights: Weights) -> Tensor:
    frequencies = [10_000 ** (-number / 128) for number in range(128)]
    angles = torch.tensor([step * frequency for frequency in frequencies], dtype=noised.dtype)
    hidden = _linear(torch.cat([angles.cos(), angles.sin()]), weights, "step.0")
    signal = convolution(noised, weights, f"inputs.{task}")
    signal = signal + _linear(hidden * hidden.sigmoid(), weights, "step.2")[None, :, None, None]
    height, width = signal.shape[2:]
    coarse = (height // 4, width // 4)
    queries, keys = (bilinear(maps, coarse).flatten(2).transpose(1, 2) for maps in (condition, signal))
    for block in range(BLOCKS):
        queries, keys = _attended(queries, keys, below(weights, f"blocks.{block}."))
    found = bilinear(queries.transpose(1, 2).reshape(len(signal), -1, *coarse), (height, width)) + signal
    found = convolution(found, weights, f"outputs.{task}.0")
    for layer in (1, 3, 5):
        found = convolution(found, weights, f"outputs.{task}.{layer}").relu()
    return found


def _attended(queries: Tensor, keys: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    keys = keys + _perceptron(keys, weights, "keys_mlp")
    query = F.linear(_normalised(queries, weights, "norms.0"), weights["query.weight"])
    key, value = F.linear(_normalised(keys, weights, "norms.1"), weights["keys_values.weight"]).chunk(2, dim=2)
    channels, found = query.shape[2] // HEADS, []
    for head in range(HEADS):
        own = slice(head * channels, (head + 1) * channels)
        alike = query[..., own] @ key[..., own].transpose(1, 2) / math.sqrt(channels)
        found.append(alike.softmax(dim=2) @ value[..., own])
    queries = queries + _linear(torch.cat(found, dim=2), weights, "output")
    return queries + _perceptron(queries, weights, "mlp"), keys


def _perceptron(tokens: Tensor, weights: Weights, name: str) -> Tensor:
    hidden = _linear(_normalised(tokens, weights, f"{name}.0"), weights, f"{name}.1")
    return _linear(hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2, weights, f"{name}.3")


def _normalised(tokens: Tensor, weights: Weights, name: str) -> Tensor:
    centred = tokens - tokens.mean(dim=2, keepdim=True)
    scaled = centred / (centred.square().mean(dim=2, keepdim=True) + 1e-5).sqrt()
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _linear(values: Tensor, weights: Weights, name: str) -> Tensor:
    return F.linear(values, weights[f"{name}.weight"], weights[f"{name}.bias"])
