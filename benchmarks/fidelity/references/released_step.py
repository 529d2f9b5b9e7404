"""The released training step: forward pass, losses, weights and optimisers, one image and one pair at a time."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.references import hrnet, losses, mapping
from benchmarks.fidelity.references.layers import Weights, bilinear
from benchmarks.fidelity.references.released_contrast import ReleasedContrast
from benchmarks.fidelity.references.schedules import released_rates, released_weight

TASKS = ("semantic", "depth", "normal")
CLASSES = 13

Predict = Callable[[Tensor, Weights], dict[str, Tensor]]
"""Predictions of images (B, 3, H, W) in training, by the weights of a network."""

Uniform = Callable[[int, int, int], Tensor]
"""Random numbers (1, C, H, W) in (0, 1) of an image, a predicted and a labelled task, by their positions."""


@dataclass(frozen=True)
class Example:
    """Two views of each image of a batch.

    Attributes:
        images: Two tensors (B, 3, H, W).
        labels: Two dicts of labels by task, (B, H, W) or (B, C, H, W); all labels, also those that are withheld.
        regions: Ids (B, H, W) of the second view.
        granted: (B, 3) which labels may be used.
        uniform: Gives the numbers that sample semantic predictions.
    """

    images: tuple[Tensor, Tensor]
    labels: tuple[dict[str, Tensor], dict[str, Tensor]]
    regions: Tensor
    granted: Tensor
    uniform: Uniform


def _hrnet_in_training(image: Tensor, weights: Weights) -> dict[str, Tensor]:
    return hrnet.predictions(image, weights, training=True)


class ReleasedTraining:
    """A network, an a_theta, their two optimisers and the bank of regions.

    Args:
        network: Weights of the network, see `hrnet.predictions`; they are copied.
        a_theta: Weights of a_theta, see `mapping.features`; they are copied.
        epochs: Length of the training.
        predict: Another network than HRNet.
    """

    def __init__(
        self, network: Weights, a_theta: Weights, epochs: int = 20, predict: Predict = _hrnet_in_training
    ) -> None:
        self.predict = predict
        self.network, self.a_theta = _own(network), _own(a_theta)
        film = [tensor for name, tensor in self.a_theta.items() if name.endswith(("gamma", "beta"))]
        others = [tensor for name, tensor in self.a_theta.items() if not name.endswith(("gamma", "beta"))]
        learned = [tensor for tensor in self.network.values() if tensor.requires_grad]
        self.optimizers = torch.optim.Adam([*learned, *others], lr=5e-4), torch.optim.Adam(film, lr=1e-3)
        self.rates = released_rates(epochs)
        self.contrast = ReleasedContrast()

    @torch.no_grad()
    def load(self, network: Weights) -> None:
        """Continue from these weights and running statistics of the network."""
        for name, tensor in self.network.items():
            tensor.copy_(network[name])

    def step(self, example: Example, epoch: int) -> dict[str, float]:
        """One step, which changes the weights; returns the losses that it minimised, and the learning rates."""
        rates = self.rates[epoch]
        for optimizer, rate in zip(self.optimizers, rates, strict=True):
            optimizer.param_groups[0]["lr"] = rate
            optimizer.zero_grad()
        count = len(example.granted)
        both = self.predict(torch.cat(example.images), self.network)
        reported = dict.fromkeys((*TASKS, "contrast"), 0.0)
        total = torch.zeros((), dtype=example.images[0].dtype)
        for image in range(count):
            for position, task in enumerate(TASKS):
                if not example.granted[image, position]:
                    continue
                label = example.labels[0][task][image : image + 1]
                loss = losses.supervised_loss(task, both[task][image : image + 1], label)
                reported[task] += loss.item() / count
                total = total + loss / count
            second = {task: maps[count + image : count + image + 1] for task, maps in both.items()}
            contrast = self.contrast_of(image, second, example)
            reported["contrast"] += contrast / count
            total = total + released_weight(epoch) * contrast / count
        total.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        return {**reported, "total": total.item(), "rate": rates[0], "film rate": rates[1]}

    def contrast_of(self, image: int, predictions: dict[str, Tensor], example: Example) -> float:
        """The sum of the contrasts of an image's pairs of tasks, without their weight."""
        granted = [bool(one) for one in example.granted[image]]
        sources = [task for task in range(len(TASKS)) if all(granted) or not granted[task]]
        targets = [task for task in range(len(TASKS)) if granted[task]]
        regions = region_sample(example.regions)[image]
        height, width = regions.shape
        total = 0.0
        for source in sources:
            for target in targets:
                if source == target:
                    continue
                uniform = example.uniform(image, source, target) if TASKS[source] == "semantic" else None
                inputs = (
                    mapping.prediction_input(TASKS[source], predictions[TASKS[source]], uniform),
                    mapping.label_input(TASKS[target], example.labels[1][TASKS[target]][image : image + 1], CLASSES),
                )
                pair = mapping.pair_number(source, target, len(TASKS))
                mapped = []
                for task, maps in zip((source, target), inputs, strict=True):
                    features = mapping.features(maps.to(predictions["depth"]), TASKS[task], pair, self.a_theta)
                    mapped.append(bilinear(features, (height, width))[0].detach().numpy())
                total += self.contrast(mapped[0], mapped[1], regions.numpy())
        return total

    def evaluate(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of images (B, 3, H, W) by the running statistics."""
        with torch.no_grad():
            return hrnet.predictions(image, self.network, training=False)


def region_sample(regions: Tensor) -> Tensor:
    """Region ids (B, H, W) at half their height and width, as where features are compared."""
    size = (regions.shape[1] // 2, regions.shape[2] // 2)
    return F.interpolate(regions[:, None].float(), size=size, mode="nearest")[:, 0].long()


def _own(weights: Weights) -> Weights:
    """Copies of parameters and running statistics, the former with gradients."""
    return {
        name: tensor.detach().clone().requires_grad_("running_" not in name)
        for name, tensor in weights.items()
        if tensor.is_floating_point()
    }
