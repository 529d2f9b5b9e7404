"""Learning curves that cross: the fastest start is not the best end, so pruning can be wrong."""

import hashlib
import math
from functools import cache
from itertools import product
from typing import Any

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.tuning.tuned_row import TunedRow
from tests.tuning.simulation import quality

NOISE = 0.01
"""Standard deviation of an epoch's value, as a fraction of the best value."""


def crossing(spec: RunSpec, epoch: int) -> MetricValues:
    """Simulated metrics after an epoch, with noise."""
    return _metrics(_grown(spec, epoch) + NOISE * _normal(spec, epoch))


def optimum(tuned: TunedRow) -> float:
    """The best noiseless mIoU of the study's space after its last epoch, on a fine grid."""
    axes = [drawn.grid(25) for drawn in tuned.spec.space.values()]
    return max(true_value(tuned, dict(zip(tuned.spec.space, corner, strict=True))) for corner in product(*axes))


def true_value(tuned: TunedRow, values: dict[str, Any]) -> float:
    """The noiseless mIoU of a configuration after its last epoch."""
    spec = tuned.run_with(values, 0)
    return float(_metrics(_grown(spec, spec.length.epochs - 1))["mIoU"] or 0.0)


def _metrics(grown: float) -> MetricValues:
    return {"mIoU": 0.2 + 0.3 * grown, "aErr": 1.0 - 0.5 * grown, "mErr": 40.0 - 20.0 * grown}


def _grown(spec: RunSpec, epoch: int) -> float:
    contrast: Any = getattr(spec.method, "contrast", None)
    shrinkage = contrast.covariance.shrinkage if hasattr(contrast, "covariance") else 0.5
    # More shrinkage learns faster; the best limit is at 0.3.
    speed = 0.2 + 0.8 * shrinkage
    return quality(spec) * (1 - math.exp(-speed * (epoch + 1) / 2))


@cache
def _normal(spec: RunSpec, epoch: int) -> float:
    digest = hashlib.sha256(f"{run_id(spec)}/{epoch}".encode()).digest()
    one, other = (int.from_bytes(part, "big") / 2**64 for part in (digest[:8], digest[8:16]))
    return math.sqrt(-2 * math.log(1 - one)) * math.cos(2 * math.pi * other)
