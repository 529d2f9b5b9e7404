"""The journal keeps what was tracked, whatever happens to its writer."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.tracking.journal import JOURNAL, Event, Journal, Row, Rows, read

STEPS_PER_EPOCH = 3


def training(first: int, end: int) -> list[Event]:
    """The events of a training from one step to another; every third step ends an epoch."""
    events: list[Event] = []
    for step in range(first, end):
        events.append({"kind": "step", "step": step, "values": {"loss": 1.0 / (step + 1)}})
        if (step + 1) % STEPS_PER_EPOCH == 0:
            epoch = step // STEPS_PER_EPOCH
            events.append({"kind": "epoch", "step": step, "epoch": epoch, "values": {"test/mIoU": float(step)}})
            events.append({"kind": "panels", "step": step, "epoch": epoch, "panels": {"image 0": f"{step}.png"}})
    return events


def write(folder: Path, events: list[Event], first_step: int | None = None) -> Journal:
    journal = Journal(folder, first_step)
    for event in events:
        journal.append(event)
    journal.close()
    return journal


def events_of(folder: Path) -> list[Event]:
    return [event for event, _ in read(folder / JOURNAL)]


def rows_of(events: list[Event]) -> list[Row]:
    rows = Rows()
    complete = [row for event in events if (row := rows.add(event))]
    return complete + ([rows.pending] if rows.pending else [])


def test_it_is_read_back_as_written(tmp_path: Path) -> None:
    write(tmp_path, training(0, 7))
    assert events_of(tmp_path) == training(0, 7)


def test_values_that_are_not_finite_survive(tmp_path: Path) -> None:
    write(tmp_path, [{"kind": "step", "step": 0, "values": {"loss": float("inf")}}])
    assert events_of(tmp_path)[0]["values"] == {"loss": float("inf")}


@given(killed_at=st.integers(1, 12), checkpoint=st.integers(0, 12), lost_bytes=st.integers(0, 200))
def test_a_killed_and_resumed_run_tells_the_same_as_one_that_was_not(
    killed_at: int, checkpoint: int, lost_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, training(0, killed_at))
        content = (folder / JOURNAL).read_bytes()
        kept = content[: len(content) - lost_bytes]
        (folder / JOURNAL).write_bytes(kept)
        told = max((event["step"] for event in events_of(folder)), default=-1)
        first = max(0, min(checkpoint, told))
        write(folder, training(first, 13), first_step=first)
        assert events_of(folder) == training(0, 13)


def test_what_was_told_after_the_checkpoint_is_struck_out(tmp_path: Path) -> None:
    write(tmp_path, training(0, 8))
    changed = [{**event, "values": {"loss": 9.0}} for event in training(5, 6)[:1]]
    write(tmp_path, changed, first_step=5)
    assert events_of(tmp_path) == training(0, 5) + changed


def test_without_a_first_step_nothing_is_told_twice(tmp_path: Path) -> None:
    write(tmp_path, training(0, 8))
    write(tmp_path, training(4, 10))
    assert events_of(tmp_path) == training(0, 10)


def test_a_session_knows_where_it_begins(tmp_path: Path) -> None:
    write(tmp_path, training(0, 4))
    size = (tmp_path / JOURNAL).stat().st_size
    assert write(tmp_path, training(4, 6)).start == size


def test_reading_stops_at_half_a_line_and_goes_on_once_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, training(0, 3))
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    first = list(read(path))
    path.write_bytes(whole)
    rest = list(read(path, first[-1][1]))
    assert [event for event, _ in first + rest] == training(0, 3)


def test_a_row_holds_all_of_a_step() -> None:
    rows = rows_of(training(0, 4))
    assert [row.step for row in rows] == [0, 1, 2, 3]
    assert rows[2].values == {"loss": 1 / 3, "epoch": 0, "test/mIoU": 2.0}
    assert rows[2].panels == {"image 0": "2.png"}
    assert rows[2].epoch_keys == {"test/mIoU"}


def test_a_row_is_complete_only_when_the_next_step_is_told() -> None:
    rows = Rows()
    assert [rows.add(event) for event in training(2, 3)] == [None, None, None]
    assert rows.add(training(3, 4)[0]) is not None
    assert rows.pending is not None
    assert rows.pending.step == 3


def test_summaries_are_merged() -> None:
    rows = Rows()
    rows.add({"kind": "summary", "values": {"a": 1, "b": 2}})
    rows.add({"kind": "summary", "values": {"b": 3}})
    assert rows.summary == {"a": 1, "b": 3}
