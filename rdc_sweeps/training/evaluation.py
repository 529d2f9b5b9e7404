"""Computes the metrics of a network on a split, and draws its predictions."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.loading import EvaluationBatches
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.parallel.world import ALONE, World
from rdc_sweeps.training.observers import Panel
from rdc_sweeps.training.panels import prediction_panel

EVALUATION_BATCH = 16
"""Images per evaluation batch; no metric depends on it."""

Seen = Callable[[Batch, Predictions], object]
"""Called with a batch, on the device, and the predictions for its images."""


@torch.no_grad()
def evaluate(
    network: nn.Module,
    batches: EvaluationBatches,
    new_meter: Callable[[], MultiTaskMeter],
    device: torch.device,
    panels: int = 0,
    classes: Sequence[str] = (),
    world: World = ALONE,
    seen: Seen = lambda *_: None,
) -> tuple[MetricValues, list[Panel]]:
    """Compute the metrics over a split, each pixel counted once, and draw the predictions of its first images.

    Args:
        network: Maps images (B, 3, H, W) to a dict of predictions per task; runs in float32 and in evaluation mode.
        batches: The split; labels that its mask withholds are ignored.
        new_meter: Creates an empty meter.
        device: The device of the network.
        panels: Number of images to draw.
        classes: Names of the semantic classes, for the legend.
        world: The processes that share the batches. All return the same metrics; use the pictures of rank 0,
            which has the first batch.
        seen: Called with each batch, on the device, and the predictions for its images.
    """
    network.eval()
    meter = new_meter()
    pictures: list[Panel] = []
    for batch in batches:
        world.check()
        shown = batch.to(device)
        view = shown.views[0]
        outputs: Predictions = network(view.image)
        seen(shown, outputs)
        predictions: dict[str, Tensor] = {str(task): maps for task, maps in outputs.items()}
        labels: dict[str, Tensor] = {str(task): label for task, label in view.labels.items()}
        meter.update(predictions, labels)
        for position in range(min(len(batch), panels - len(pictures))):
            truth = {task: label[position] for task, label in labels.items()}
            predicted = {task: prediction[position] for task, prediction in predictions.items()}
            title = f"image {int(batch.indices[position])}"
            pictures.append((title, prediction_panel(view.image[position], truth, predicted, classes=classes)))
    of_all = new_meter()
    of_all.merge({name: world.sum(total) for name, total in meter.state_dict().items()})
    return of_all.compute(), pictures
