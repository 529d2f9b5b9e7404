"""Which test images figures show."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS
from rdc_sweeps.training.scores import ImageScores

Rule = Literal["best", "worst", "most-changed"]

USUAL_COUNT = 3


@dataclass(frozen=True)
class ImageChoice:
    """Images by their positions in the test split, or a number of them by a rule.

    `best` and `worst`: by the mean rank of an image over the main metrics and the rows. `most-changed`: by the size of
    the mean, over the main metrics, of the difference of the last row to the first, each divided by its standard
    deviation over the images.
    """

    positions: tuple[int, ...] = ()
    rule: Rule | None = None
    count: int = USUAL_COUNT

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `3,17`, `worst` or `most-changed:4`.

        Raises:
            UsageError: It is none of these.
        """
        if found := re.fullmatch(r"(best|worst|most-changed)(?::([1-9][0-9]{0,3}))?", text):
            return cls(rule=found[1], count=int(found[2] or USUAL_COUNT))  # type: ignore[arg-type]
        if re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text):
            return cls(positions=tuple(dict.fromkeys(map(int, text.split(",")))))
        raise UsageError(
            f"--images {text!r}: write positions of test images as 3,17, or best, worst or most-changed, with a number "
            "as in worst:4"
        )

    def of(self, scores: Sequence[ImageScores]) -> list[int]:
        """The images, by the scores of the rows on one test split; those that a rule is surest of come first.

        Raises:
            UsageError: The rows have other images, or the rule needs two rows.
        """
        if self.rule is None:
            return list(self.positions)
        if any(not np.array_equal(one.images, scores[0].images) for one in scores):
            raise UsageError(f"--images {self.rule}: the rows have other test images; name positions, as in 3,17")
        if self.rule == "most-changed":
            if len(scores) < 2:
                raise UsageError("--images most-changed compares the last row with the first; name two rows")
            order = np.argsort(-np.abs(mean_change(scores[0], scores[-1])), kind="stable")
        else:
            ranks = np.mean([_rank(one) for one in scores], axis=0)
            order = np.argsort(ranks if self.rule == "worst" else -ranks, kind="stable")
        return [int(scores[0].images[place]) for place in order[: self.count]]


def mean_change(one: ImageScores, other: ImageScores) -> NDArray[np.float64]:
    """Mean improvement (N,) from `one` to `other` over the main metrics, each in standard deviations over images."""
    changes = []
    for name in MAIN_METRICS:
        if name in one.values and name in other.values:
            gain = other.values[name] - one.values[name]
            gain = gain if METRICS[name].higher_is_better else -gain
            deviation = float(np.nanstd(gain)) if np.isfinite(gain).any() else 0.0
            changes.append(np.nan_to_num(gain / (deviation or 1.0)))
    mean: NDArray[np.float64] = np.mean(changes, axis=0) if changes else np.zeros(len(one))
    return mean


def _rank(scores: ImageScores) -> NDArray[np.float64]:
    """Mean rank (N,) of each image over the main metrics, from 0, worst, to 1, best; in the middle without a score."""
    ranks = []
    for name in MAIN_METRICS:
        if name not in scores.values:
            continue
        values = scores.values[name] if METRICS[name].higher_is_better else -scores.values[name]
        known = np.isfinite(values)
        rank = np.full(len(values), 0.5)
        # Equal values share a rank.
        _, places, counts = np.unique(values[known], return_inverse=True, return_counts=True)
        middles = np.cumsum(counts) - (counts + 1) / 2
        rank[known] = middles[places] / max(1, known.sum() - 1)
        ranks.append(rank)
    return np.mean(ranks, axis=0) if ranks else np.zeros(len(scores))
