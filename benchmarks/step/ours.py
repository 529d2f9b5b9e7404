"""The training step of a row with region contrast, as a whole and in parts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import network_outputs
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.methods.supervised import SupervisedMethod
from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.optimizer import build_optimizer
from rdc_sweeps.training.setup import build_learner

CONTRAST = ("contrast forward", "contrast backward")


class OurStep:
    """A step of the middle of a training, when the contrast has its whole weight.

    Args:
        spec: The run, whose method has the one term "region_contrast".
        batch: Images that every step is taken with.
    """

    def __init__(self, spec: RunSpec, batch: Batch) -> None:
        self.spec, self.batch, self.epoch = spec, batch, spec.length.epochs / 2
        self.learner = build_learner(spec, Settings(device="cpu")).train()
        self.optimizer = build_optimizer(self.learner, spec.training)

    def __call__(self) -> None:
        """The step of the training loop, with the norm of the gradients that it reports."""
        losses = self.learner(self.batch, self.epoch)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        self._update()

    def _update(self) -> None:
        torch.nn.utils.get_total_norm([one.grad for one in self.learner.parameters() if one.grad is not None]).item()
        self.optimizer.step()

    def parts(self) -> dict[str, float]:
        """The same step cut where gradients pass from one part to another: seconds of the processor for each."""
        method, seconds = self.learner.method, dict[str, float]()
        assert isinstance(method, SupervisedMethod)
        (term,) = method.terms.values()
        assert isinstance(term, RegionContrastTerm)
        with _timed(seconds, "network forward"):
            outputs = network_outputs(
                self.learner.network, self.batch, last_view=True, encoder=False, view_norm=method.view_norm
            )
        with _timed(seconds, "supervised losses"):
            supervised = method.supervision(outputs.stages, self.batch).total
        seen: Predictions = {task: maps.detach().requires_grad_() for task, maps in outputs.last.items()}
        with _timed(seconds, "a_theta forward"):
            mapped = term.mapped(seen, self.batch)
        assert mapped is not None
        pairs, index, *features = mapped
        predicted, labelled = (side.detach().requires_grad_() for side in features)
        with _timed(seconds, "contrast forward"):
            outcome = term.compare_mapped(pairs, index, predicted, labelled, self.batch).outcome
            loss = term.weight(self.epoch) * term.summed(outcome.losses, pairs, self.batch)
        self.optimizer.zero_grad(set_to_none=True)
        with _timed(seconds, "contrast backward"):
            loss.backward()
        with _timed(seconds, "a_theta backward"):
            torch.autograd.backward(features, [predicted.grad, labelled.grad])
        with _timed(seconds, "network backward"):
            used = [task for task, maps in seen.items() if maps.grad is not None]
            roots = [supervised, *(outputs.last[task] for task in used)]
            torch.autograd.backward(roots, [None, *(seen[task].grad for task in used)])
        with _timed(seconds, "optimizer"):
            self._update()
        return seconds

    @torch.no_grad()
    def metrics(self) -> float:
        """Seconds of the processor for the metrics of a batch, which only the evaluation computes."""
        seconds: dict[str, float] = {}
        view = self.batch.views[0]
        predictions = {str(task): maps for task, maps in self.learner.network(view.image).items()}
        labels = {str(task): maps for task, maps in view.labels.items()}
        meter = MultiTaskMeter(self.spec.dataset.tasks, len(self.spec.dataset.classes))
        with _timed(seconds, "metrics"):
            meter.update(predictions, labels)
        return seconds["metrics"]


@contextmanager
def _timed(seconds: dict[str, float], part: str) -> Iterator[None]:
    began = time.process_time()
    yield
    seconds[part] = time.process_time() - began
