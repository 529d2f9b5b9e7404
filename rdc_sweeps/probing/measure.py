"""Probes the cross-task terms of a run; docs/probe.md has the definitions."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rdc_sweeps.methods.method import Method, Outputs, Term, network_outputs
from rdc_sweeps.methods.region_contrast import Comparison, RegionContrastTerm
from rdc_sweeps.methods.supervised import SupervisedMethod
from rdc_sweeps.probing.gradients import AFTER_RAMPS, Gradients, shown_to
from rdc_sweeps.probing.inputs import ProbeBatch, substitutes, towards_truth
from rdc_sweeps.probing.record import FRACTIONS, SUBSTITUTES, Probe, RegionMeasure, Substitute
from rdc_sweeps.specs.base import Task

ACCURACY = "contrast/accuracy"
"""Name under which `RegionContrastTerm` reports it."""

ENDS: dict[float, Substitute] = {0.0: "own", 1.0: "truth"}
"""The ends of the path from prediction to truth."""


NONE = (None, None)
"""Of a task that no image of a batch predicts."""


def terms_of_method(method: Method) -> dict[str, Term]:
    """The cross-task terms of a method, by name; empty if it has none."""
    return dict(method.terms.items()) if isinstance(method, SupervisedMethod) else {}  # type: ignore[arg-type]


def probe(network: nn.Module, method: Method, batches: Sequence[ProbeBatch], tasks: tuple[Task, ...]) -> list[Probe]:
    """Probe each term of a method; network and method are left as they were.

    Batch norms see batches as in training.

    Args:
        network: A `MultiTaskNetwork`, on any device.
        method: The method that trains it.
        batches: Images with all labels.
        tasks: Tasks in the order of the columns of `Batch.granted`.
    """
    device = next(network.parameters()).device
    with unchanged(network, method):
        network.train()
        method.train()
        for term in terms_of_method(method).values():
            if isinstance(term, RegionContrastTerm) and term.earlier is not None:
                term.earlier.eval()  # What a probe shows must not enter.
        return [
            _probe(network, name, term, [batch.to(device) for batch in batches], tasks)
            for name, term in terms_of_method(method).items()
        ]


@contextmanager
def unchanged(*modules: nn.Module) -> Iterator[None]:
    """Within the context, what happens to the state of modules and of torch's generators has no later effect."""
    states = [{name: value.clone() for name, value in module.state_dict().items()} for module in modules]
    training = [module.training for module in modules]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            yield
        finally:
            for module, state, mode in zip(modules, states, training, strict=True):
                module.load_state_dict(state)
                module.train(mode)


def _probe(network: nn.Module, name: str, term: Term, batches: Sequence[ProbeBatch], tasks: tuple[Task, ...]) -> Probe:
    values: dict[Substitute, list[float]] = {substitute: [] for substitute in SUBSTITUTES}
    accuracy: dict[Substitute, list[float | None]] = {substitute: [] for substitute in SUBSTITUTES}
    path: list[list[float]] = [[] for _ in FRACTIONS]
    prediction: dict[Task, dict[int, float]] = {task: {} for task in tasks}
    through: list[dict[str, tuple[float, float]]] = []
    regions: list[RegionMeasure] = []
    for batch in batches:
        outputs = network_outputs(network, batch.shown, last_view=True, encoder=term.uses_encoder, view_norm="apart")
        gradients = Gradients.of(outputs, term, batch, tasks)
        through.append({} if gradients is None else gradients.through(network))
        if gradients is not None:
            for task, cosines in gradients.cosines().items():
                prediction[task].update(cosines)
        with torch.no_grad():
            shown = substitutes(outputs.last, batch, tasks)
            found = {one: _shown(term, shown_to(outputs, maps), batch) for one, maps in shown.items()}
            compared = _compared(term, shown_to(outputs, shown["own"]), batch)
            for substitute, (value, share) in found.items():
                values[substitute].append(value)
                accuracy[substitute].append(share if share is not None and math.isfinite(share) else None)
            if compared is not None:
                regions += _region_measures(compared, batch, tasks, gradients)
            for measured, fraction in zip(path, FRACTIONS, strict=True):
                if fraction in ENDS:
                    measured.append(found[ENDS[fraction]][0])
                else:
                    maps = towards_truth(outputs.last, batch, tasks, fraction)
                    measured.append(_shown(term, shown_to(outputs, maps), batch)[0])
    reached = dict.fromkeys(which for of_batch in through for which in of_batch)
    return Probe(
        term=name,
        batches=[batch.shown.indices.tolist() for batch in batches],
        values=values,
        accuracy=accuracy if regions else {},
        path=path,
        prediction={task: cosines for task, cosines in prediction.items() if cosines},
        parameters={which: [of_batch.get(which, NONE)[0] for of_batch in through] for which in reached},
        ratios={which: [of_batch.get(which, NONE)[1] for of_batch in through] for which in reached},
        regions=regions,
    )


def _shown(term: Term, outputs: Outputs, batch: ProbeBatch) -> tuple[float, float | None]:
    """The value of a term, and the share of regions that it tells apart, if it compares regions."""
    losses = term(outputs, batch.shown, AFTER_RAMPS)
    accuracy = losses.reported.get(ACCURACY)
    value = losses.total if term.value is None else losses.reported[term.value]
    return float(value), None if accuracy is None else float(accuracy)


def _compared(term: Term, outputs: Outputs, batch: ProbeBatch) -> Comparison | None:
    """The regions that a term compares, if it does."""
    if not isinstance(term, RegionContrastTerm) or term.bank is not None:
        return None
    return term.compare(outputs.last, batch.shown)


def _region_measures(
    compared: Comparison, batch: ProbeBatch, tasks: tuple[Task, ...], gradients: Gradients | None
) -> list[RegionMeasure]:
    pairs, slots = compared.pairs, compared.index.slots.cpu()
    hits, chance, counts = (
        each.cpu() for each in (compared.outcome.hits, compared.outcome.chance, compared.index.counts)
    )
    capacity = counts.shape[1]
    part, border = counts / slots[0].numel(), border_distances(slots, capacity)
    measures = []
    for item in range(len(pairs)):
        image, task = int(pairs.image[item]), tasks[int(pairs.predicted[item])]
        cosines = (
            torch.full((capacity,), torch.nan)
            if gradients is None
            else gradients.region_cosines(task, image, slots[item], capacity)
        )
        measures += [
            RegionMeasure(
                image=int(batch.shown.indices[image]),
                task=task,
                part=float(part[item, slot]),
                border=float(border[item, slot]),
                hit=float(hits[item, slot]),
                chance=float(chance[item, slot]),
                cosine=None if cosines[slot].isnan() else float(cosines[slot]),
            )
            for slot in hits[item].isfinite().nonzero().flatten().tolist()
        ]
    return measures


def border_distances(slots: Tensor, capacity: int) -> Tensor:
    """The least distance of each region from the border, in parts of the shorter side.

    Args:
        slots: Tensor (N, h, w) int64, the slot of each pixel, -1 for none.
        capacity: Number of slots.

    Returns:
        Tensor (N, capacity); infinite for slots without pixels.
    """
    height, width = slots.shape[1:]
    rows, columns = torch.arange(height), torch.arange(width)
    across = torch.minimum(torch.minimum(rows, height - 1 - rows)[:, None], torch.minimum(columns, width - 1 - columns))
    distance = (across / min(height, width)).expand(slots.shape).flatten(1)
    least = distance.new_full((slots.shape[0], capacity + 1), torch.inf)
    return least.scatter_reduce(1, (slots + 1).flatten(1), distance, "amin")[:, 1:]
