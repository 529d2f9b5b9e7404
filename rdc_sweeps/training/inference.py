"""A trained run on its test images, after the training: their scores and predictions, from a checkpoint."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from rdc_sweeps.data.loading import EvaluationBatches
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.settings import Settings, dataset_root
from rdc_sweeps.specs.backbone import NoWeights
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.training import PredictionsSpec
from rdc_sweeps.training.collectors import PredictionCollector, ScoreCollector
from rdc_sweeps.training.evaluation import EVALUATION_BATCH, evaluate
from rdc_sweeps.training.predictions import ImagePredictions
from rdc_sweeps.training.scores import ImageScores
from rdc_sweeps.training.setup import Learner, build_learner
from rdc_sweeps.training.splits import open_splits


def scores_of_checkpoint(spec: RunSpec, state: Mapping[str, Any], epoch: int, settings: Settings) -> ImageScores:
    """The scores of all test images, in the batches of the training's own evaluation.

    Args:
        spec: The run.
        state: Its `Learner.state_dict`.
        epoch: The epoch after which it was saved, counted from 0.
        settings: Data roots, caches and device.

    Raises:
        DataError: The data set is missing or damaged.
    """
    splits = open_splits(spec.dataset, root=dataset_root(spec.dataset.name, settings), cache=settings.cache_root)
    learner, meter = trained(spec, state, settings), _meter(spec)
    collector = ScoreCollector(len(splits.test), meter)
    batches = EvaluationBatches(splits.test, batch_size=EVALUATION_BATCH, workers=settings.workers)
    evaluate(learner.network, batches, meter, _device(learner), seen=collector.add)
    return collector.scores(epoch)


def predictions_of_checkpoint(
    spec: RunSpec, state: Mapping[str, Any], epoch: int, settings: Settings, keep: PredictionsSpec
) -> ImagePredictions:
    """The predictions for some test images; arguments as above, and which images.

    Raises:
        UsageError: There is no such image.
        DataError: The data set is missing or damaged.
    """
    test = open_splits(spec.dataset, root=dataset_root(spec.dataset.name, settings), cache=settings.cache_root).test
    collector = PredictionCollector(keep, test)
    learner = trained(spec, state, settings)
    batches = EvaluationBatches(test, batch_size=EVALUATION_BATCH, only=keep.positions(len(test)))
    evaluate(learner.network, batches, _meter(spec), _device(learner), seen=collector.add)
    return collector.predictions(epoch)


def trained(spec: RunSpec, state: Mapping[str, Any], settings: Settings) -> Learner:
    """The network and method of a run with the weights of a checkpoint, on the device of the settings."""
    learner = build_learner(_without_pretrained(spec), settings)
    learner.load_state_dict(state)
    on_gpu = settings.device != "cpu" and torch.cuda.is_available()
    return learner.to("cuda" if on_gpu else "cpu").eval()


def _without_pretrained(spec: RunSpec) -> RunSpec:
    """The run with random weights, which a checkpoint replaces: the file of pretrained ones may be elsewhere."""

    def without(backbone: Spec) -> Spec:
        changes: dict[str, Any] = {}
        if "pretrained" in type(backbone).model_fields:
            changes["pretrained"] = NoWeights()
        if (encoder := getattr(backbone, "encoder", None)) is not None:
            changes["encoder"] = without(encoder)
        return backbone.model_copy(update=changes)

    return spec.model_copy(update={"backbone": without(spec.backbone)})


def _meter(spec: RunSpec) -> partial[MultiTaskMeter]:
    return partial(MultiTaskMeter, spec.dataset.tasks, len(spec.dataset.classes))


def _device(learner: Learner) -> torch.device:
    return next(learner.parameters()).device
