"""The training loop: one run from its spec to its history of epochs, resumable at any step.

The order of images, augmentation and noise are functions of the seed, epoch, step and image, and learning rates are
functions of the step; everything else that a step depends on is in the checkpoint. On the same CPU, a run that was
stopped and resumed therefore ends bit-identical to one that was not.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rdc_sweeps.contrast import kernel_choice
from rdc_sweeps.data.loading import EvaluationBatches, TrainingBatches
from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.errors import DivergenceError
from rdc_sweeps.files import Write, write_atomically
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.parallel.batch_norm import share_batch_norms
from rdc_sweeps.parallel.world import world
from rdc_sweeps.probing.inputs import ProbeBatch
from rdc_sweeps.probing.measure import probe, terms_of_method
from rdc_sweeps.probing.record import headlines
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.checkpoints import kept_checkpoint, load_checkpoint, save_checkpoint
from rdc_sweeps.training.collectors import KeptImages
from rdc_sweeps.training.evaluation import EVALUATION_BATCH, Seen, evaluate
from rdc_sweeps.training.observers import EpochRecord, Observer, Panel
from rdc_sweeps.training.optimizer import build_optimizer, clip_gradients, set_learning_rates
from rdc_sweeps.training.probes import probe_batches
from rdc_sweeps.training.provenance import describe_data
from rdc_sweeps.training.setup import Learner, build_learner, open_data, region_reader

PANELS = 3
"""Number of test images for which a panel is drawn after each epoch."""


@dataclass(frozen=True)
class Training:
    """The result of `train`, finished or stopped on request."""

    history: list[EpochRecord]
    finished: bool
    seconds: float
    parameters: int
    images: int


def train(
    spec: RunSpec,
    settings: Settings,
    checkpoint: Path,
    observers: Sequence[Observer] = (),
    stop: Callable[[], bool] = lambda: False,
    write: Write = write_atomically,
    opened: Callable[[DataRecord], object] | None = None,
    images: Path | None = None,
) -> Training:
    """Train a run from its checkpoint, or from the beginning if there is none.

    If several processes train the run, each of them calls this; only rank 0 writes checkpoints, and only its `stop` is
    obeyed.

    Args:
        spec: The run.
        settings: Data roots, device and loader processes.
        checkpoint: File that is replaced after every epoch and when the training is stopped.
        observers: Called at every step and epoch.
        stop: Called before every step; if it returns True, `train` saves a checkpoint and returns.
        write: Replaces a file atomically.
        opened: Called on rank 0 with the record of the data, before the checkpoint is read; may refuse by raising.
        images: Folder for what is kept of the test images, see `KeptImages`; None: nothing is.

    Raises:
        DivergenceError: A loss or gradient is not finite.
        CheckpointError: The checkpoint is damaged or belongs to another run.
    """
    return _Loop(spec, settings, checkpoint, observers, write, opened, images).run(stop)


class _Loop:
    def __init__(
        self,
        spec: RunSpec,
        settings: Settings,
        checkpoint: Path,
        observers: Sequence[Observer],
        write: Write,
        opened: Callable[[DataRecord], object] | None,
        images: Path | None,
    ) -> None:
        self.spec, self.checkpoint, self.observers, self.write = spec, checkpoint, observers, write
        self.images_folder = images
        self.id = run_id(spec)
        self.world = world()
        on_gpu = settings.device != "cpu" and torch.cuda.is_available()
        self.device = torch.device("cuda", self.world.rank) if on_gpu else torch.device("cpu")
        kernel_choice.configure(settings.fused_kernel, settings.cache_root / "kernels")
        data = open_data(spec, settings)
        regions = region_reader(spec, data, settings)
        if opened is not None and not self.world.rank:
            opened(describe_data(spec, settings, data.splits, regions=regions.digest if regions else None))
        self.batches = TrainingBatches(
            data.splits.train,
            data.train_mask,
            regions=regions,
            spec=spec.training,
            seed=spec.seed,
            depth_by_zoom=spec.dataset.depth_by_zoom,
            workers=settings.workers,
            rank=self.world.rank,
            world=self.world.size,
        )
        self.images = len(data.splits.train)
        self.length = spec.training.length(self.images)
        evaluation_batches = partial(
            EvaluationBatches,
            batch_size=EVALUATION_BATCH,
            workers=settings.workers,
            rank=self.world.rank,
            world=self.world.size,
        )
        self.test_split = data.splits.test
        if (keep := spec.training.keep_predictions) is not None:
            # Not after days of training.
            keep.positions(len(self.test_split))
        self.test = evaluation_batches(self.test_split)
        self.validation = evaluation_batches(data.splits.validation, data.validation_mask)
        self.meter = partial(MultiTaskMeter, spec.dataset.tasks, len(spec.dataset.classes))
        self.learner: Learner = build_learner(spec, settings)
        self.learner.to(self.device)
        share_batch_norms(self.learner, self.world)
        self.optimizer = build_optimizer(self.learner, spec.training)
        self.probed: list[ProbeBatch] = []
        if spec.training.probe is not None and terms_of_method(self.learner.method):
            self.probed = probe_batches(spec, data, settings, spec.training.probe.images)
        self.epoch, self.step = 0, 0
        self.history: list[EpochRecord] = []
        self.sums: dict[str, float] = {}
        self.earlier_seconds = 0.0
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self.started

    def run(self, stop: Callable[[], bool]) -> Training:
        self._resume()
        self.world.broadcast_parameters(self.learner)
        for observer in self.observers:
            observer.started(self._steps_taken(), self.length)
        while self.epoch < self.length.epochs:
            if not self._train_epoch(stop):
                self._save()
                return self._training(finished=False)
            self._evaluate()
            self._keep()
            self.epoch, self.step, self.sums = self.epoch + 1, 0, {}
            self._save()
        return self._training(finished=True)

    def _steps_taken(self) -> int:
        """Steps since the beginning of the training; after an incomplete last epoch, fewer than those of whole ones."""
        return min(self.epoch * self.length.steps_per_epoch + self.step, self.length.steps)

    def _training(self, *, finished: bool) -> Training:
        parameters = sum(parameter.numel() for parameter in self.learner.network.parameters())
        return Training(self.history, finished, self.seconds, parameters, self.images)

    def _train_epoch(self, stop: Callable[[], bool]) -> bool:
        """Train the rest of the epoch; returns False if it was stopped before the end."""
        self.learner.train()
        half = self.spec.training.precision == "bfloat16"
        with closing(self.batches.epoch(self.epoch, self.step, self.length.steps_of(self.epoch))) as batches:
            for batch in batches:
                if self.world.broadcast_flag(stop()):
                    return False
                # Seeds the dropout of networks, whose masks depend on the step and the rank. All other noise belongs to
                # the batch.
                torch.manual_seed(_dropout_seed(self.spec.seed, self.epoch, self.step, self.world.rank))
                with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
                    losses = self.learner(batch.to(self.device), self.epoch + self.step / self.length.steps_per_epoch)
                self.optimizer.zero_grad(set_to_none=True)
                (losses.total * batch.fraction).backward()
                parameters = list(self.learner.parameters())
                self.world.sum_gradients(parameters)
                norm = torch.nn.utils.get_total_norm([one.grad for one in parameters if one.grad is not None])
                if self.spec.training.clip_norm is not None:
                    clip_gradients(self.learner, self.spec.training.clip_norm)
                means = self.world.mean(
                    {"loss": losses.total.detach(), **losses.reported}, losses.counts, count=len(batch)
                )
                values = _to_floats({"gradient_norm": norm, **means})
                self.world.check()
                self._check_finite(values)
                # In a step without regions, the diagnostics of the contrast are NaN.
                values = {name: value for name, value in values.items() if math.isfinite(value)}
                rates = set_learning_rates(self.optimizer, self.spec.training, self._steps_taken(), self.length)
                self.optimizer.step()
                for name, value in values.items():
                    if name.startswith("loss"):
                        self.sums[name] = self.sums.get(name, 0.0) + value
                for observer in self.observers:
                    observer.stepped(self.epoch, self._steps_taken(), {**values, **rates})
                self.step += 1
        return True

    def _check_finite(self, values: Mapping[str, float]) -> None:
        watched = ("loss", "gradient_norm")
        bad = {name: value for name, value in values.items() if name.startswith(watched) and not math.isfinite(value)}
        if not bad:
            return
        weights = [name for name, value in self.learner.named_parameters() if not torch.isfinite(value).all()]
        raise DivergenceError(
            f"run {self.id}: in epoch {self.epoch}, step {self.step}, these values are not finite: "
            + ", ".join(f"{name} = {value}" for name, value in bad.items())
            + f"; all values: {', '.join(f'{name} = {value:.4g}' for name, value in values.items())}"
            + f"; parameters not finite: {', '.join(weights[:5]) or 'none'}. The last checkpoint is older; "
            "try a lower training.network.learning_rate or method.weight, or precision float32."
        )

    def _evaluate(self) -> None:
        last = self.epoch + 1 == self.length.epochs
        kept = KeptImages(self.test_split, self.meter, self.spec.training.keep_predictions if last else None)
        test, panels = self._metrics(self.test, PANELS, kept.add)
        validation = self._metrics(self.validation)[0] if len(self.validation) else None
        losses = {name: value / self.length.steps_of(self.epoch) for name, value in self.sums.items()}
        record = EpochRecord(epoch=self.epoch, losses=losses, test=test, validation=validation, probe=self._probe())
        self.history.append(record)
        for observer in self.observers:
            observer.evaluated(record, self.length.end_of(self.epoch) - 1, panels)
        kept.save(self.images_folder, self.id, self.epoch, self.write, self.world)

    def _probe(self) -> dict[str, float]:
        """The main results of a probe, if one is due."""
        due = self.spec.training.probe
        ended = self.epoch + 1
        if due is None or not self.probed or (ended % due.every and ended < self.length.epochs):
            return {}
        # Every process probes all images, since batch norms are shared.
        return headlines(probe(self.learner.network, self.learner.method, self.probed, self.spec.dataset.tasks))

    def _metrics(
        self,
        batches: EvaluationBatches,
        panels: int = 0,
        seen: Seen = lambda *_: None,
    ) -> tuple[MetricValues, list[Panel]]:
        classes = self.spec.dataset.classes
        return evaluate(self.learner.network, batches, self.meter, self.device, panels, classes, self.world, seen)

    def _keep(self) -> None:
        if self.world.rank or self.epoch not in self.spec.training.keep_checkpoints:
            return
        state = {"epoch": self.epoch, "learner": self.learner.state_dict()}
        save_checkpoint(kept_checkpoint(self.checkpoint, self.epoch), self.id, state, self.write)

    def _save(self) -> None:
        if self.world.rank:
            return
        save_checkpoint(
            self.checkpoint,
            self.id,
            {
                "epoch": self.epoch,
                "step": self.step,
                "sums": self.sums,
                "seconds": self.seconds,
                "history": [record.model_dump() for record in self.history],
                "learner": self.learner.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            self.write,
        )

    def _resume(self) -> None:
        state = load_checkpoint(self.checkpoint, self.id)
        if state is None:
            return
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.step, self.sums = state["epoch"], state["step"], state["sums"]
        self.history = [EpochRecord.model_validate(record) for record in state["history"]]
        self.earlier_seconds = state["seconds"]


def _dropout_seed(seed: int, epoch: int, step: int, rank: int) -> int:
    return int(np.random.SeedSequence((seed, epoch, step, rank)).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _to_floats(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as Python numbers, in one transfer from the device."""
    return dict(zip(values, torch.stack([value.float() for value in values.values()]).tolist(), strict=True))
