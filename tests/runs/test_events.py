"""The event log notices whatever happens to it."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.errors import EventLogError
from rdc_sweeps.runs.events import (
    Event,
    EventReader,
    decode,
    encode,
    last_event,
    last_events,
    read_events,
    verified_lines,
)

STEPS_PER_EPOCH = 3
STEPS = 7


def training(first: int = 0, end: int = STEPS) -> list[Event]:
    """The events of a training from one step to another; every third step ends an epoch."""
    events: list[Event] = []
    for step in range(first, end):
        epoch = step // STEPS_PER_EPOCH
        events.append({"kind": "step", "step": step, "epoch": epoch, "values": {"loss": 1.0 / (step + 1)}})
        if (step + 1) % STEPS_PER_EPOCH == 0:
            events.append({"kind": "panels", "step": step, "epoch": epoch, "panels": {"image 0": f"{step}.png"}})
            events.append({"kind": "epoch", "step": step, "epoch": epoch, "record": {"test": {"mIoU": float(step)}}})
    return events


def lines_of(events: list[Event]) -> list[bytes]:
    return [encode(event, number) for number, event in enumerate(events)]


def write(path: Path, events: list[Event]) -> None:
    path.write_bytes(b"".join(lines_of(events)))


def plain(events: list[Event]) -> list[Event]:
    return [{key: value for key, value in event.items() if key != "sequence"} for event in events]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_it_is_read_back_as_written(path: Path) -> None:
    write(path, training())
    events = list(read_events(path))
    assert plain(events) == training()
    assert [event["sequence"] for event in events] == list(range(len(events)))


def test_values_that_are_not_finite_survive() -> None:
    event = {"kind": "step", "step": 0, "values": {"loss": float("inf")}}
    assert decode(encode(event, 0), 0) == {"sequence": 0, **event}


def test_no_log_has_no_events(path: Path) -> None:
    assert list(read_events(path)) == []
    assert last_event(path) is None
    assert verified_lines(path, 0, 0) == []


@given(position=st.integers(0, len(b"".join(lines_of(training()))) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(position: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        whole = b"".join(lines_of(training()))
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        path.write_bytes(damaged)
        with pytest.raises(EventLogError, match="--rerun"):
            verified_lines(path, STEPS, STEPS // STEPS_PER_EPOCH)
        line = whole[:position].count(b"\n")
        try:
            # A last line without its end may still be in the making.
            assert plain(list(read_events(path))) == training()[:-1]
            assert position == len(whole) - 1
        except EventLogError as error:
            assert f"line {line + 1} " in str(error)  # noqa: PT017


@given(kept=st.integers(0, len(b"".join(lines_of(training()))) - 1), step=st.integers(0, STEPS))
def test_a_log_that_was_cut_is_resumed_only_from_what_it_holds(kept: int, step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        path.write_bytes(b"".join(lines_of(training()))[:kept])
        wanted = lines_of(training(0, step))
        if len(b"".join(wanted)) <= kept:
            assert verified_lines(path, step, step // STEPS_PER_EPOCH) == wanted
        else:
            with pytest.raises(EventLogError, match=f"the checkpoint is at step {step}"):
                verified_lines(path, step, step // STEPS_PER_EPOCH)


@pytest.mark.parametrize("missing", range(len(training())))
def test_a_line_that_is_missing_is_noticed(missing: int, path: Path) -> None:
    lines = lines_of(training())
    path.write_bytes(b"".join(lines[:missing] + lines[missing + 1 :]))
    with pytest.raises(EventLogError):
        verified_lines(path, STEPS, STEPS // STEPS_PER_EPOCH)
    if missing < len(lines) - 1:
        with pytest.raises(EventLogError, match=f"line {missing + 1} has sequence number {missing + 1}"):
            list(read_events(path))


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([*training(0, 2), *training(3, 8)], "line 3 is step 3 instead of 2"),
        ([*training(0, 2), *training(1, 8)], "line 3 is step 1 instead of 2"),
        ([event for event in training() if event.get("epoch") or event["kind"] != "epoch"], "is epoch 1 instead of 0"),
        ([*training(0, 4), {"kind": "end", "step": 4, "state": "failed"}], "line 7 already belongs to step 4"),
    ],
)
def test_events_that_were_never_written_are_noticed(events: list[Event], message: str, path: Path) -> None:
    write(path, events)
    with pytest.raises(EventLogError, match=message):
        verified_lines(path, STEPS, STEPS // STEPS_PER_EPOCH)


def test_the_record_of_an_incomplete_last_epoch_is_needed_too(path: Path) -> None:
    write(path, training())
    with pytest.raises(EventLogError, match="it ends after line"):
        verified_lines(path, STEPS, STEPS // STEPS_PER_EPOCH + 1)
    last = {"kind": "epoch", "step": STEPS - 1, "epoch": 2, "record": {"test": {"mIoU": 1.0}}}
    write(path, [*training(), last])
    assert len(verified_lines(path, STEPS, STEPS // STEPS_PER_EPOCH + 1)) == len(training()) + 1


def test_a_log_of_an_earlier_version_is_named(path: Path) -> None:
    path.with_name("metrics.jsonl").write_text('{"step": 0, "epoch": 0, "values": {"loss": 1.0}}\n')
    with pytest.raises(EventLogError, match=r"there is no such file \(metrics.jsonl was written by an earlier version"):
        verified_lines(path, 1, 0)
    assert verified_lines(path, 0, 0) == []


def test_a_reader_waits_for_the_rest_of_a_line(path: Path) -> None:
    whole = b"".join(lines_of(training()))
    with EventReader(path) as reader:
        assert list(reader.read()) == []
        events: list[Event] = []
        for end in range(0, len(whole) + 1, 10):
            path.write_bytes(whole[:end])
            events += reader.read()
        path.write_bytes(whole)
        events += reader.read()
    assert plain(events) == training()


def test_a_reader_follows_a_log_that_was_replaced(path: Path) -> None:
    write(path, training(0, 5))
    with EventReader(path) as reader:
        assert len(list(reader.read())) == len(training(0, 5))
        for end in (4, 6):
            resumed = path.with_name("resumed")
            write(resumed, training(0, end))
            resumed.replace(path)
            assert plain(list(reader.read())) == training(0, end)
        assert list(reader.read()) == []


@pytest.mark.parametrize("length", [1, 100, 2**14, 2**16])
def test_the_last_event_is_found_from_the_end(length: int, path: Path) -> None:
    write(path, [*training(), {"kind": "panels", "step": 6, "epoch": 2, "panels": {"x" * length: "file"}}])
    with path.open("ab") as file:
        file.write(b'{"sequence": 12, "ki')
    last = last_event(path)
    assert last is not None
    assert (last["kind"], last["sequence"]) == ("panels", len(training()))
    path.write_bytes(lines_of(training())[0])
    assert last_event(path) == {"sequence": 0, **training()[0]}
    path.write_bytes(b"no event\n")
    assert last_event(path) is None


@pytest.mark.parametrize("length", [1, 2**14 - 200, 2**16])
def test_the_last_event_of_each_kind_is_found_from_the_end(length: int, path: Path) -> None:
    later = {"kind": "step", "step": 7, "epoch": 2, "values": {"x" * length: 1.0}}
    write(path, [*training(), later])
    with path.open("ab") as file:
        file.write(b'{"sequence": 12, "kind": "epoch')
    found = last_events(path, ("panels", "epoch", "step", "end"))
    assert {kind: (event["step"], event["sequence"]) for kind, event in found.items()} == {
        "step": (7, len(training())),
        "epoch": (5, 9),
        "panels": (5, 8),
    }
    assert last_events(path.with_name("none"), ("step",)) == {}


def test_a_damaged_line_is_no_last_event_of_its_kind(path: Path) -> None:
    lines = lines_of(training())
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"loss", b"gain")]))
    assert last_events(path, ("step",))["step"]["step"] == STEPS - 2
