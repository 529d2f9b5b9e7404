import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.metrics.selection import SELECTIONS, select
from rdc_sweeps.training.observers import EpochRecord


def history(tests: list[MetricValues], validations: list[MetricValues | None] | None = None) -> list[EpochRecord]:
    validations = validations or [None] * len(tests)
    return [
        EpochRecord(epoch=epoch, losses={}, test=test, validation=validation)
        for epoch, (test, validation) in enumerate(zip(tests, validations, strict=True))
    ]


GOOD: MetricValues = {"mIoU": 40.0, "aErr": 0.5, "mErr": 25.0}
BAD: MetricValues = {"mIoU": 30.0, "aErr": 0.6, "mErr": 30.0}


def test_last_is_last_and_best_test_looks_at_test() -> None:
    records = history([BAD, GOOD, BAD], [GOOD, BAD, BAD])
    chosen = {rule: record.epoch for rule in SELECTIONS if (record := select(records, rule))}
    assert chosen == {"last": 2, "best-validation": 0, "best-test": 1}


def test_without_validation_images_there_is_no_best_validation() -> None:
    assert select(history([GOOD]), "best-validation") is None


def test_the_earlier_epoch_wins_a_tie() -> None:
    assert select(history([BAD, GOOD, GOOD, BAD]), "best-test") == history([BAD, GOOD, GOOD, BAD])[1]


def test_the_released_meter_does_not_choose() -> None:
    records = history([{**GOOD, "mErr_released": 20.0}, {**BAD, "mErr_released": 1.0}])
    record = select(records, "best-test")
    assert record is not None
    assert record.epoch == 0


def test_an_epoch_that_predicts_no_class_right_is_not_best_for_lack_of_a_gain() -> None:
    record = select(history([{"mIoU": 0.0, "aErr": 0.5}, {"mIoU": 10.0, "aErr": 0.51}]), "best-test")
    assert record is not None
    assert record.epoch == 1


@given(st.lists(st.floats(1, 100), min_size=1, max_size=8))
def test_a_single_metric_is_maximised(values: list[float]) -> None:
    record = select(history([{"mIoU": value} for value in values]), "best-test")
    assert record is not None
    assert record.test["mIoU"] == pytest.approx(max(values), rel=1e-9)
