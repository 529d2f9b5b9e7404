"""Region-aware distribution contrast: w L_RC of eq. 1, with every contrast and extraction."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from rdc_sweeps.contrast import ContrastOutcome, Diagnostics, region_contrast
from rdc_sweeps.contrast.earlier import EarlierMaps
from rdc_sweeps.contrast.index import RegionIndex, as_index
from rdc_sweeps.contrast.released import ReleasedBank
from rdc_sweeps.data.batches import Batch, View
from rdc_sweeps.errors import UsageError
from rdc_sweeps.methods.method import Losses, Outputs, Term, ramped
from rdc_sweeps.methods.pairs import CONTRAST, Pairs, map_pairs, task_pairs
from rdc_sweeps.methods.readings import further_negatives, other_images, pair_weights
from rdc_sweeps.models.mapping import build_mapping
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.parallel.world import world
from rdc_sweeps.regions.maps import NO_REGION, patch_regions, semantic_regions
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.contrast import RegionNegatives, ReleasedContrast
from rdc_sweeps.specs.method import RegionContrast
from rdc_sweeps.specs.sources import SemanticRegions


@dataclass(frozen=True)
class Comparison:
    """The contrast of a batch, region by region.

    Attributes:
        pairs: Its N items.
        index: The regions of each item.
        outcome: Their contrast.
    """

    pairs: Pairs
    index: RegionIndex
    outcome: ContrastOutcome


class RegionContrastTerm(Term):
    """The contrast between tasks on the last view.

    For each ordered pair of tasks that `task_pairs` gives, a_theta maps the prediction of one and the label of the
    other into one space, where their regions are contrasted. `readings` has how the pairs of an image make up its L_RC.
    That of the batch is the mean over all its images; one without two usable regions counts as 0.
    """

    value = "loss/contrast"

    def __init__(self, spec: RegionContrast, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.classes = classes
        self.mapping = build_mapping(spec.mapping, tasks, classes)
        self.bank: ReleasedBank | None = None
        if isinstance(spec.contrast, ReleasedContrast):
            self.bank = ReleasedBank(spec.contrast, self.mapping.out_channels)
        self.earlier: EarlierMaps | None = None
        if isinstance(spec.contrast, RegionNegatives) and spec.contrast.earlier_images:
            pairs = len(tasks) * (len(tasks) - 1)
            self.earlier = EarlierMaps(pairs, spec.contrast.earlier_images, self.mapping.out_channels)

    def film_parameters(self) -> list[nn.Parameter]:
        """FiLM scales and shifts of a_theta."""
        return self.mapping.film_parameters()

    def weight(self, epoch: float) -> float:
        """The weight of L_RC at a time of training; the ramp rises by steps or by whole epochs."""
        if self._trains_mapping_alone(epoch):
            return self.spec.weight
        since = epoch - self.spec.start_epoch
        return ramped(self.spec.weight, self.spec.ramp_epochs, since if self.spec.ramp_by == "step" else int(since))

    def _trains_mapping_alone(self, epoch: float) -> bool:
        return epoch < self.spec.start_epoch

    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        """See `Term.forward`."""
        predictions = outputs.last
        if self._trains_mapping_alone(epoch):
            predictions = {task: prediction.detach() for task, prediction in predictions.items()}
        with torch.set_grad_enabled(self.spec.gradient and torch.is_grad_enabled()):
            contrast, diagnostics, counts = self.contrast(predictions, batch)
        return Losses(self.weight(epoch) * contrast, {"loss/contrast": contrast.detach(), **diagnostics}, counts)

    def contrast(self, predictions: Predictions, batch: Batch) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
        """L_RC of the last view, the diagnostics of the contrast, and the number of items each is averaged over.

        Args:
            predictions: For that view, by task (B, C, H, W).
            batch: Its last view has the labels and regions.
        """
        if self.bank is not None:
            return self._released(self.bank, predictions, batch), {}, {}
        compared = self.compare(predictions, batch)
        if compared is None:
            return batch.views[-1].image.new_zeros(()), {}, {}
        outcome, pairs = compared.outcome, compared.pairs
        names = [field.name for field in fields(Diagnostics)]
        reported = {f"contrast/{name}": getattr(outcome.diagnostics, name) for name in names}
        counts = dict.fromkeys(reported, outcome.used.sum())
        counts["contrast/regions"] = outcome.used.new_full((), len(pairs), dtype=torch.int64)
        return self.summed(outcome.losses, pairs, batch), reported, counts

    def compare(self, predictions: Predictions, batch: Batch) -> Comparison | None:
        """Contrast the regions of all pairs of tasks; None if no process has any. Arguments are those of `contrast`.

        Raises:
            UsageError: The contrast is the released one, which has another form.
        """
        mapped = self.mapped(predictions, batch)
        return None if mapped is None else self.compare_mapped(*mapped, batch)

    def compare_mapped(
        self, pairs: Pairs, index: RegionIndex, predicted: Tensor, labelled: Tensor, batch: Batch
    ) -> Comparison:
        """Contrast the regions of what `mapped` gives."""
        if isinstance(self.spec.contrast, ReleasedContrast):
            raise UsageError("contrast: released compares with a bank, not the regions of an image with each other")
        of_images = self.spec.contrast.negatives == "images"
        outcome = region_contrast(
            predicted,
            labelled,
            index,
            self.spec.contrast,
            min_pixels=self.spec.min_pixels,
            draw=pairs.noise(batch.noise).tagged(CONTRAST).uniform,
            further=further_negatives(pairs) if self.spec.pairs == "equation" and not of_images else None,
            others=other_images(pairs, predicted, labelled, len(self.tasks), self.earlier) if of_images else None,
        )
        return Comparison(pairs, index, outcome)

    def _released(self, bank: ReleasedBank, predictions: Predictions, batch: Batch) -> Tensor:
        mapped = self.mapped(predictions, batch)
        if mapped is None:
            return batch.views[-1].image.new_zeros(())
        pairs, index, predicted, labelled = mapped
        losses = bank(predicted, labelled, index, min_pixels=self.spec.min_pixels, gather_rows=world().gather_rows)
        return self.summed(losses, pairs, batch)

    def mapped(self, predictions: Predictions, batch: Batch) -> tuple[Pairs, RegionIndex, Tensor, Tensor] | None:
        """The N items of a batch, their regions, and the features of their predictions and labels (N, d, h, w)."""
        view, pairs = batch.views[-1], task_pairs(batch.granted)
        noise = pairs.noise(batch.noise)
        mapped = map_pairs(self.mapping, predictions, view.labels, pairs, noise, self.tasks, self.classes)
        if mapped is None:
            return None
        predicted, labelled = mapped
        if self.spec.label_features == "detached":
            labelled = labelled.detach()
        index = as_index(self.regions(view), predicted, None).select(pairs.image)
        return pairs, index.to(predicted.device, non_blocking=True), predicted, labelled

    def summed(self, losses: Tensor, pairs: Pairs, batch: Batch) -> Tensor:
        """L_RC of a batch from the losses (N,) of its items."""
        weights = pair_weights(pairs, self.spec.pairs, len(self.tasks))
        return (losses * weights.to(losses, non_blocking=True)).sum() / len(batch)

    def regions(self, view: View) -> Tensor:
        """Region ids (B, H/s, W/s) of a view at the stride s of the region map; negative is no region.

        Unless they are kept, pixels that are void in a label of the image have no region. This applies to all pairs of
        the image alike, so that a region has the same pixels in all maps.

        They are on the CPU, so that indexing them does not wait for a GPU; only semantic regions are copied from it.
        """
        stride = self.spec.region_stride
        extraction = self.spec.extraction
        batch, _, height, width = view.image.shape
        every = slice(stride // 2 if self.spec.region_pixel == "centre" else 0, None, stride)
        sampled = (slice(None), every, every)
        if extraction.name == "patch":
            regions = patch_regions(height // stride, width // stride, extraction.size).expand(batch, -1, -1)
        elif isinstance(extraction.regions, SemanticRegions):
            regions = semantic_regions(view.labels["semantic"][sampled].cpu(), extraction.regions.parts)
            if view.regions is not None:
                # A label that is withheld is void everywhere.
                labelled = (regions != NO_REGION).any(2).any(1)[:, None, None]
                regions = torch.where(labelled, regions, view.regions[sampled])
        else:
            assert view.regions is not None
            regions = view.regions[sampled]
        if self.spec.void == "kept":
            return regions
        return torch.where(view.valid[sampled], regions, NO_REGION)
