"""Region-aware distribution contrast: L_Sup + w L_RC (eq. 1) in all its strategies and extractions."""

from collections.abc import Mapping
from dataclasses import fields

import torch
from torch import Tensor, nn

from rdc_sweeps.contrast import Diagnostics, RegionIndex, region_contrast
from rdc_sweeps.contrast.index import as_index
from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.methods.method import Losses, Method, predictions_of_views, ramped
from rdc_sweeps.methods.pairs import Pairs, batch_pairs, map_pairs
from rdc_sweeps.methods.supervised import supervised_losses, supervision
from rdc_sweeps.models.mapping import build_mapping
from rdc_sweeps.parallel.world import world
from rdc_sweeps.regions.maps import patch_regions, semantic_regions
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import RegionContrast


class RegionContrastMethod(Method):
    """Supervised losses on view 1, and the contrast between tasks on view 2 (or view 1 if there is one view).

    For each ordered pair of tasks that `task_pairs` names, the mapping network a_theta brings the prediction of one
    and the label of the other into one space; the regions of both are contrasted. L_RC is the mean over an image's
    pairs and over the images of the batch.
    """

    def __init__(self, spec: RegionContrast, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.classes = classes
        self.mapping = build_mapping(spec.mapping, tasks, classes)

    def film_parameters(self) -> list[nn.Parameter]:
        """FiLM scales and shifts of a_theta."""
        return self.mapping.film_parameters()

    def weight(self, epoch: float) -> float:
        """Weight of L_RC at a time: linear from 0 to `weight` over the ramp, by steps or by whole epochs."""
        return ramped(self.spec.weight, self.spec.ramp_epochs, epoch if self.spec.ramp_by == "step" else int(epoch))

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`."""
        predictions, contrasted = predictions_of_views(network, batch)
        supervised = supervision(supervised_losses(self.tasks, predictions, batch.views[0].labels, batch.granted))
        contrast, diagnostics, counts = self.contrast(contrasted, batch.views[-1], batch_pairs(batch))
        total = supervised.total + self.weight(epoch) * (contrast if self.spec.gradient else contrast.detach())
        return Losses(total, {**supervised.reported, "loss/contrast": contrast.detach(), **diagnostics}, counts)

    def contrast(
        self, predictions: Mapping[Task, Tensor], view: View, pairs: Pairs
    ) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """L_RC of one view, the contrast's diagnostics, and of how many items each is the mean.

        Args:
            predictions: Per task (B, C, H, W), of this view.
            view: Labels and regions of the view.
            pairs: The N items to contrast.
        """
        if not len(pairs.of_all):
            return view.image.new_zeros(()), {}, {}
        names = [field.name for field in fields(Diagnostics)]
        predicted, labelled = map_pairs(self.mapping, predictions, view.labels, pairs, self.tasks, self.classes)
        index = self.index(view, predicted)
        if not len(pairs):
            zeros = dict.fromkeys((f"contrast/{name}" for name in names), view.image.new_zeros(()))
            # A zero with a gradient: the other processes' batch norms wait for this one's share of it.
            return predicted.sum() + labelled.sum(), zeros, zeros
        index = index.select(pairs.image).to(predicted.device)
        outcome = region_contrast(
            predicted, labelled, index, self.spec.contrast, min_pixels=self.spec.min_pixels, share=pairs.share()
        )
        reported = {f"contrast/{name}": getattr(outcome.diagnostics, name) for name in names}
        counts = dict.fromkeys(reported, outcome.used.sum())
        counts["contrast/regions"] = outcome.used.new_tensor(len(pairs), dtype=torch.int64)
        # Each image weighs the same, however many pairs of tasks it has.
        loss = (outcome.losses / pairs.per_image().to(outcome.losses)).sum() / view.image.shape[0]
        return loss, reported, counts

    def index(self, view: View, features: Tensor) -> RegionIndex:
        """The regions of a view's images, for features (N, d, h, w)."""
        regions = self.regions(view)
        index = as_index(regions, features, None)
        if self.spec.contrast.name == "pixel" or self.spec.contrast.negative_count is None:
            return index
        # Negatives are drawn among the rows of the index: all processes need as many as one process would have.
        rows = world().largest(index.counts.shape[1])
        return index if rows == index.counts.shape[1] else as_index(regions, features, rows)

    def regions(self, view: View) -> Tensor:
        """Region ids (B, H/s, W/s) of a view on the region map, at stride s; negative is no region.

        They are on the CPU, where indexing them keeps no GPU waiting; only semantic regions have to be fetched.
        """
        stride = self.spec.region_stride
        extraction = self.spec.extraction
        batch, _, height, width = view.image.shape
        if extraction.name == "patch":
            return patch_regions(height // stride, width // stride, extraction.size).expand(batch, -1, -1)
        regions = semantic_regions(view.labels["semantic"]).cpu() if view.regions is None else view.regions
        return regions[:, stride // 2 :: stride, stride // 2 :: stride]
