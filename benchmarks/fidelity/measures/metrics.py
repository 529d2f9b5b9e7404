"""Meters and relative improvements against those of the authors' code."""

import numpy as np
import torch

from benchmarks.fidelity.component import Component, Differences
from benchmarks.fidelity.examples import by_name
from benchmarks.fidelity.inputs import CLASSES, TASKS, labels, predictions
from benchmarks.fidelity.references import meters
from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.meters import MultiTaskMeter


def _metrics() -> tuple[dict[str, float], dict[str, float]]:
    """Of two batches, one without class 0: ours and the released meters'."""
    ours, theirs = MultiTaskMeter(TASKS, CLASSES), meters.ReleasedMeters(CLASSES)
    for seed in (0, 1):
        predicted, truth = by_name(predictions(2, seed)), by_name(labels(2, seed))
        # As a trained network's: in the right direction and too long.
        predicted["normal"] = 1.5 * truth["normal"] + 0.5 * predicted["normal"]
        ours.update(predicted, truth)
        theirs.update(predicted, truth)
    return {name: value for name, value in ours.compute().items() if value is not None}, theirs.metrics()


def miou() -> Differences:
    """Percent."""
    ours, theirs = _metrics()
    return Differences(abs(ours["mIoU"] - theirs["mIoU"]))


def absent_class() -> Differences:
    """Percent, with a class that no pixel has: it is left out here, and counts as 0 in the released code."""
    logits, label = torch.zeros(1, CLASSES, 8, 8).double(), torch.arange(64).view(1, 8, 8) % (CLASSES - 1)
    logits.scatter_(1, (label.roll(1, 2) % 7)[:, None], 1.0)
    ours = MultiTaskMeter(("semantic",), CLASSES)
    ours.update({"semantic": logits}, {"semantic": label})
    found = ours.compute()["mIoU"]
    assert found is not None
    depth = {"depth": torch.ones(1, 1, 8, 8)}
    apart = []
    for absent in (None, 0.0):
        theirs = meters.ReleasedMeters(CLASSES, absent)
        theirs.update({"semantic": logits, **depth}, {"semantic": label, **depth})
        apart.append(abs(found - theirs.metrics()["mIoU"]))
    return Differences(*apart)


def released_depth() -> Differences:
    """Metres."""
    ours, theirs = _metrics()
    return Differences(abs(ours["aErr_released"] - theirs["aErr"]), abs(ours["aErr"] - theirs["aErr"]))


def released_angle() -> Differences:
    """Degrees."""
    ours, theirs = _metrics()
    return Differences(abs(ours["mErr_released"] - theirs["mErr"]), abs(ours["mErr"] - theirs["mErr"]))


def honest_angle() -> Differences:
    """Degrees, of a hundred pixels one by one."""
    predicted, truth = predictions(1)["normal"][..., :10, :10], labels(1)["normal"][..., :10, :10]
    ours = MultiTaskMeter(("normal",), CLASSES)
    ours.update({"normal": predicted}, {"normal": truth})
    found = ours.compute()["mErr"]
    assert found is not None
    vectors = [side.flatten(2)[0].T.tolist() for side in (predicted, truth)]
    angles = [meters.angle(one, other) for one, other in zip(*vectors, strict=True) if any(other)]
    return Differences(abs(found - float(np.mean(angles))))


def improvement() -> Differences:
    """Percent, of the first row of the paper's Table 3 against the last."""
    names, better = ("mIoU", "aErr", "mErr"), (True, False, False)
    metrics, baseline = (42.28, 0.4641, 4.8613), (40.24, 0.4998, 7.9518)
    found = delta_m(dict(zip(names, metrics, strict=True)), dict(zip(names, baseline, strict=True)))
    return Differences(abs(found - meters.mean_gain(metrics, baseline, better)))


COMPONENTS = [
    Component("mIoU, percent", "meters of the released code and of Li et al.", miou, bound=1e-9),
    Component(
        "mIoU with a class that no pixel has, percent",
        "mean over the classes that occur",
        absent_class,
        remark="not a field: the released code counts the class as 0, and that of Li et al. gives no number",
        bound=1e-9,
    ),
    Component(
        "depth error, published meter, metres",
        "meters of the released code and of Li et al.",
        released_depth,
        remark="metric `aErr_released`; `aErr` does not clamp predictions",
        bound=1e-9,
    ),
    Component(
        "normal error, published meter, degrees",
        "meters of the released code and of Li et al.",
        released_angle,
        remark="metric `mErr_released`; `mErr` does not depend on lengths",
        bound=1e-9,
    ),
    Component(
        "normal error, degrees",
        "angle between directions (Kahan 2006), pixel by pixel",
        honest_angle,
        remark="metric `mErr`",
        bound=1e-9,
    ),
    Component("delta-m, percent", "Maninis et al., CVPR 2019", improvement),
]
