"""The interface of a method to the training loop, and of a term that a method adds to the supervised losses."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.models.network import Predictions

ViewNorm = Literal["together", "apart"]
"""Whether batch norms see two views as one batch, see `AugmentationSpec.view_norm`."""


@dataclass(frozen=True)
class Losses:
    """The loss of a batch, and values to report.

    If several processes share a batch, each returns the losses of its own images; the losses of the run are means over
    all images.

    Attributes:
        total: The value to minimise, a mean over the images of the batch.
        reported: Detached scalars by name, means over the images of the batch unless `counts` has their name.
        counts: By name, the number of items over which a reported value is averaged.
    """

    total: Tensor
    reported: Mapping[str, Tensor]
    counts: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Outputs:
    """What a network returns for a batch of B images.

    Attributes:
        stages: Predictions of the first view from coarse to final, see `MultiTaskNetwork.stages`.
        last: Final predictions of the last view, which is the first one if there is only one.
        encoder: Outputs of the encoder for the last view, Tensors (B, C_i, H_i, W_i) without gradient; empty unless
            a term uses them.
        network: The network, for terms that pass other images through it.
    """

    stages: Sequence[Predictions]
    last: Predictions
    encoder: Sequence[Tensor] = ()
    network: nn.Module | None = None

    @property
    def first(self) -> Predictions:
        """Final predictions of the first view."""
        return self.stages[-1]


class Method(nn.Module, ABC):
    """A training objective; may have parameters of its own in addition to those of the network."""

    def film_parameters(self) -> list[nn.Parameter]:
        """Parameters of the second optimiser group."""
        return []

    @abstractmethod
    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """Losses of one batch.

        Args:
            network: A `MultiTaskNetwork`, or another module with its `forward` and `stages`.
            batch: Views, labels, which labels are granted, and noise.
            epoch: Time in epochs, with fraction; ramps depend on it.
        """


class Term(nn.Module, ABC):
    """A loss that is added to the supervised ones; terms can be combined.

    Attributes:
        uses_last_view: Whether the term needs predictions of the last view. If no term does, only the first view passes
            through the network.
        uses_encoder: Whether the term needs `Outputs.encoder`.
        value: The reported value that says how far predictions and labels are from what the term asks for; None for the
            total.
    """

    uses_last_view: ClassVar[bool] = True
    uses_encoder: ClassVar[bool] = False
    value: ClassVar[str | None] = None

    def film_parameters(self) -> list[nn.Parameter]:
        """Parameters of the second optimiser group."""
        return []

    @abstractmethod
    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        """The term of one batch: `total` with its weight, reported values without it.

        Args:
            outputs: Predictions of the network for the batch.
            batch: Views, labels, which labels are granted, and noise.
            epoch: Time in epochs, including the fraction of the current one; ramps depend on it.
        """


def ramped(weight: float, ramp_epochs: float, epoch: float) -> float:
    """The weight at a time of training: linear from 0 over the first `ramp_epochs`, then constant."""
    return weight * min(1.0, epoch / ramp_epochs) if ramp_epochs else weight


def network_outputs(
    network: nn.Module, batch: Batch, *, last_view: bool, encoder: bool, view_norm: ViewNorm
) -> Outputs:
    """Pass a batch through the network.

    Args:
        network: See `Method.forward`.
        batch: Views of B images.
        last_view: Whether predictions of the last view are needed; without, the first view stands for it.
        encoder: Whether the outputs of its encoder are needed.
        view_norm: Two views pass as one batch, so that batch norms see them together, or one after the other, and only
            the first one changes the running statistics.
    """
    views = (batch.views[0], batch.views[-1]) if last_view and len(batch.views) > 1 else (batch.views[0],)
    with encoder_outputs(network) if encoder else _nothing() as maps:
        if len(views) == 1:
            stages = _stages(network, views[0].image)
            return Outputs(stages, stages[-1], tuple(maps), network)
        if view_norm == "apart":
            stages = _stages(network, views[0].image)
            with fixed_running_statistics(network):
                last = _stages(network, views[1].image)[-1]
            return Outputs(stages, last, tuple(maps), network)
        both = _stages(network, torch.cat([view.image for view in views]))
        first = [{task: prediction[: len(batch)] for task, prediction in stage.items()} for stage in both]
        last = {task: prediction[len(batch) :] for task, prediction in both[-1].items()}
        return Outputs(first, last, tuple(scale[len(batch) :] for scale in maps), network)


def _stages(network: nn.Module, image: Tensor) -> Sequence[Predictions]:
    stages: Sequence[Predictions] = network.stages(image)  # type: ignore[operator]
    return stages


@contextmanager
def _nothing() -> Iterator[list[Tensor]]:
    yield []


@contextmanager
def encoder_outputs(network: nn.Module) -> Iterator[list[Tensor]]:
    """Within the context, collect the detached outputs of the network's encoder.

    The encoder is the network's `backbone`, or its `encoder` if it has no backbone, like SegNet. The list holds the
    maps of the last forward pass, Tensors (B, C_i, H_i, W_i).
    """
    maps: list[Tensor] = []

    def collect(module: nn.Module, inputs: object, output: Tensor | Sequence[Tensor]) -> None:
        maps[:] = [scale.detach() for scale in ([output] if isinstance(output, Tensor) else output)]

    encoder: nn.Module = getattr(network, "backbone", None) or network.encoder  # type: ignore[assignment]
    handle = encoder.register_forward_hook(collect)
    try:
        yield maps
    finally:
        handle.remove()


@contextmanager
def fixed_running_statistics(network: nn.Module) -> Iterator[None]:
    """Within the context, batch norms in training mode leave their running statistics as they are."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
