from rdc_sweeps.monitoring.changes import RunChanges
from tests.monitoring.boards import LOST, status, table, view


def test_a_change_is_described_once() -> None:
    changes = RunChanges()
    (group,) = table()
    lines = changes.lines(group.views)
    assert lines[0] == "table3/one-patch-vector seed 0: done, epoch 20 of 20, mIoU 41.23, aErr 0.5123, mErr 27.50"
    assert lines[6] == f"table3/one-region-gaussian seed 0: failed, epoch 10 of 20: {LOST}"
    assert changes.lines(group.views) == []
    assert len(changes.lines([view("one-patch-pixel", "running", status(869))])) == 1


def test_known_runs_are_described_when_they_change() -> None:
    changes = RunChanges([view("one-patch-pixel", "queued")])
    assert changes.lines([view("one-patch-pixel", "queued")]) == []
    assert changes.lines([view("one-patch-pixel", "planned")]) == ["table3/one-patch-pixel seed 0: planned"]
