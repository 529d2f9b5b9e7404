from typing import get_args

import pytest

from rdc_sweeps.metrics.meters import MultiTaskMeter
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, MainMetric, MetricName, metrics_of, shown_for
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.table import Published


def test_the_names_in_specs_are_those_of_the_list() -> None:
    assert get_args(MetricName) == tuple(METRICS)
    assert get_args(MainMetric) == MAIN_METRICS
    assert tuple(Published.model_fields) == MAIN_METRICS


def test_the_meters_measure_every_metric_and_no_other() -> None:
    for task in get_args(Task):
        assert tuple(MultiTaskMeter((task,), 13).compute()) == metrics_of(task)


def test_each_task_has_one_main_metric_and_each_published_one_is_compared_once() -> None:
    assert [METRICS[name].task for name in MAIN_METRICS] == list(get_args(Task))
    for name in MAIN_METRICS:
        assert [metric.published for metric in shown_for(name)].count(name) == 1


@pytest.mark.parametrize("name", ["aErr", "mErr"])
def test_the_released_meter_compares_with_the_published_one(name: MainMetric) -> None:
    honest, released = shown_for(name)
    assert (honest.name, honest.main, honest.published, honest.column_title) == (name, True, None, f"{name} honest")
    assert (released.name, released.main, released.published) == (f"{name}_released", False, name)
    assert released.column_title == f"{name} released"
    assert f"{name} released" in released.note


def test_values_have_the_decimals_of_their_metric() -> None:
    assert METRICS["mIoU"].text(41.256) == "41.26"
    assert METRICS["aErr"].text(0.51234) == "0.5123"
