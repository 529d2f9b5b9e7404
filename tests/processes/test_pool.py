"""A pool of processes: free slots are filled, ended processes are reported, and an interrupt stops all."""

import os
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from rdc_sweeps.processes.children import fork_server
from rdc_sweeps.processes.pool import run_pool


def end_with(code: int) -> None:
    raise SystemExit(code)


def sleep_until_stopped(mark: Path) -> None:
    def stop(*_: object) -> None:
        mark.with_suffix(".stopped").touch()
        end_with(6)

    signal.signal(signal.SIGTERM, stop)
    mark.touch()
    time.sleep(60)


def test_each_slot_gets_a_process_until_nothing_is_left_to_start() -> None:
    waiting, codes, active, most = [3, 0, 5, 0, 7], [], set[int](), 0

    def start(slot: int) -> ForkServerProcess | None:
        nonlocal most
        if not waiting:
            return None
        assert slot not in active
        process = fork_server().Process(target=end_with, args=(waiting.pop(0),))
        process.start()
        active.add(slot)
        most = max(most, len(active))
        return process

    def ended(slot: int, process: ForkServerProcess) -> None:
        active.remove(slot)
        codes.append(process.exitcode)
        if process.exitcode == 7:  # is repeated, and succeeds
            waiting.append(0)

    run_pool(2, start, ended, watch=lambda: None, interval=0.01)
    assert sorted(code or 0 for code in codes) == [0, 0, 0, 3, 5, 7]
    assert most == 2
    assert not waiting


@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupt_stops_all_processes_and_is_raised_again(tmp_path: Path, by_signal: bool) -> None:
    def start(slot: int) -> ForkServerProcess | None:
        process = fork_server().Process(target=sleep_until_stopped, args=(tmp_path / f"{slot}.begun",))
        process.start()
        return process

    def watch() -> None:
        if len(list(tmp_path.glob("*.begun"))) < 2:
            return
        if by_signal:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_pool(2, start, lambda slot, process: None, watch=watch, interval=0.01)
    assert sorted(path.name for path in tmp_path.glob("*.stopped")) == ["0.stopped", "1.stopped"]
    assert signal.getsignal(signal.SIGTERM) == before
