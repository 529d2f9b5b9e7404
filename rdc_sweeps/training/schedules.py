"""Learning rates as pure functions of the epoch, so that a resumed run needs no schedule state."""

import math

from rdc_sweeps.specs.training import ScheduleSpec


def learning_rate(base: float, schedule: ScheduleSpec, epoch: int, epochs: int) -> float:
    """Learning rate during `epoch` (counted from 0) of `epochs`."""
    match schedule.name:
        case "constant":
            return base
        case "step":
            return base * float(schedule.factor ** (epoch // schedule.period))
        case "cosine_restarts":
            return _cosine(base, schedule.minimum, epoch % schedule.period / schedule.period)
        case "cosine":
            return _cosine(base, schedule.minimum, epoch / epochs)


def _cosine(base: float, minimum: float, progress: float) -> float:
    return minimum + (base - minimum) * (1 + math.cos(math.pi * progress)) / 2
