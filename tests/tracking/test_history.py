"""The event log as rows of W&B's history."""

from typing import Any

from rdc_sweeps.runs.events import Event
from rdc_sweeps.tracking.history import History, HistoryRow

STEPS_PER_EPOCH = 3


def training(first: int, end: int) -> list[Event]:
    """The events of a training from one step to another; every third step ends an epoch."""
    events: list[dict[str, Any]] = []
    for step in range(first, end):
        epoch = step // STEPS_PER_EPOCH
        events.append({"kind": "step", "step": step, "epoch": epoch, "values": {"loss": 1.0 / (step + 1)}})
        if (step + 1) % STEPS_PER_EPOCH == 0:
            record = {"losses": {"loss": 0.5}, "test": {"mIoU": float(step), "aErr": None}, "validation": None}
            events.append({"kind": "panels", "step": step, "epoch": epoch, "panels": {"image 0": f"{step}.png"}})
            events.append({"kind": "epoch", "step": step, "epoch": epoch, "record": record})
    return numbered(events)


def numbered(events: list[Event], first: int = 0) -> list[Event]:
    return [{**event, "sequence": number} for number, event in enumerate(events, first)]


def rows_of(events: list[Event]) -> list[HistoryRow]:
    history = History()
    complete = [row for event in events if (row := history.add(event))]
    return complete + ([history.pending] if history.pending else [])


def test_a_row_holds_all_of_a_step() -> None:
    rows = rows_of(training(0, 4))
    assert [row.step for row in rows] == [0, 1, 2, 3]
    assert rows[2].values == {"loss": 1 / 3, "epoch": 0, "train/loss": 0.5, "test/mIoU": 2.0}
    assert rows[2].panels == {"image 0": "2.png"}
    assert rows[2].epoch_keys == {"train/loss", "test/mIoU"}


def test_a_row_is_complete_only_when_the_next_step_has_come() -> None:
    history = History()
    assert [history.add(event) for event in training(2, 3)] == [None, None, None]
    assert history.add(training(3, 4)[0]) is not None
    assert history.pending is not None
    assert history.pending.step == 3


def test_a_log_that_is_read_again_after_a_resume_completes_no_row_twice() -> None:
    rows = rows_of([*training(0, 5), *training(0, 7)])
    assert [row.step for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert rows[4:] == rows_of(training(0, 7))[4:]


def test_the_end_counts_as_long_as_nothing_follows() -> None:
    history = History()
    events = training(0, 3)
    for event in [*events, *numbered([{"kind": "end", "step": 3, "state": "preempted"}], len(events))]:
        history.add(event)
    assert history.ended == "preempted"
    assert history.events == len(events) + 1
    for event in training(0, 4):
        history.add(event)
    assert history.ended is None
