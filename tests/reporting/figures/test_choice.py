"""Which images figures show."""

import dataclasses

import numpy as np
import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.reporting.figures.choice import ImageChoice, mean_change
from tests.reporting.imaged import scores


def test_positions_and_rules_are_parsed() -> None:
    assert ImageChoice.parse("3,17,3").positions == (3, 17)
    assert ImageChoice.parse("worst") == ImageChoice(rule="worst", count=3)
    assert ImageChoice.parse("most-changed:12") == ImageChoice(rule="most-changed", count=12)


@pytest.mark.parametrize("text", ["", "best:0", "3,", "-1", "most changed", "worst:x", "²"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write positions of test images as 3,17, or best, worst or most-changed"):
        ImageChoice.parse(text)


def test_rules_take_the_images_of_their_name() -> None:
    # Later images are easier.
    assert ImageChoice(rule="best", count=2).of([scores()]) == [5, 4]
    assert ImageChoice(rule="worst", count=2).of([scores(), scores(2)]) == [0, 1]
    changed = scores()
    for name, better in (("mIoU", 3.0), ("aErr", -0.2), ("mErr", -2.0)):
        changed.values[name][2] += better  # type: ignore[index]
    assert ImageChoice(rule="most-changed", count=1).of([scores(), changed]) == [2]
    assert mean_change(scores(), changed)[2] > 2
    assert mean_change(scores(), scores()).tolist() == [0.0] * 6


def test_images_without_a_score_are_in_the_middle() -> None:
    known = scores()
    known.values["mIoU"][5] = known.values["aErr"][5] = known.values["mErr"][5] = np.nan
    assert ImageChoice(rule="best", count=1).of([known]) == [4]
    assert ImageChoice(rule="worst", count=1).of([known]) == [0]


def test_rules_need_the_same_images_and_two_rows() -> None:
    with pytest.raises(UsageError, match="have other test images"):
        ImageChoice(rule="best").of([scores(), dataclasses.replace(scores(), images=np.arange(1, 7))])
    with pytest.raises(UsageError, match="name two rows"):
        ImageChoice(rule="most-changed").of([scores()])
