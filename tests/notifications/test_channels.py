"""Channels against commands and servers of every kind: bounded in time, and silent about secrets."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rdc_sweeps.notifications.channels import channels
from rdc_sweeps.notifications.messages import Message
from rdc_sweeps.notifications.webhook import post
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Notify
from rdc_sweeps.tracking.session import Server
from tests.tracking.backend import Backend, Fault, StoredRun
from tests.tracking.conftest import backend, environment  # noqa: F401 (fixtures)
from tests.tracking.observing import is_alive, wait_for
from tests.tracking.training import IDENTITY, RUN

MESSAGE = Message("k", "failed", "table3", "table3/row failed", "disk full\nrdc-sweep logs x", (RUN,))
TOKEN = "T0/SECRETTOKEN"


def send(notify: Notify, root: Path, seconds: float = 60.0) -> str | None:
    (channel,) = channels(notify, root)
    return channel.send(MESSAGE, seconds)


def test_a_command_reads_the_text_and_finds_the_rest_in_variables(tmp_path: Path) -> None:
    script = f"cat > {tmp_path}/text; env > {tmp_path}/variables"
    assert send(Notify(command=("sh", "-c", script)), tmp_path) is None
    assert (tmp_path / "text").read_text() == "disk full\nrdc-sweep logs x\n"
    variables = (tmp_path / "variables").read_text()
    assert "RDC_NOTIFY_TITLE=table3/row failed\n" in variables
    assert "RDC_NOTIFY_OCCASION=failed\n" in variables
    assert "RDC_NOTIFY_ABOUT=table3\n" in variables


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (("false",), "ended with exit code 1"),
        (("sh", "-c", f"echo {TOKEN}; echo {TOKEN} >&2; exit 3"), "ended with exit code 3"),
        (("/none/such-program", TOKEN), "such-program: No such file or directory"),
        (("sh", "-c", "kill -9 $$"), "ended with exit code -9"),
    ],
)
def test_a_command_that_fails(command: tuple[str, ...], problem: str, tmp_path: Path) -> None:
    assert send(Notify(command=command), tmp_path) == problem


def test_a_command_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/child; trap '' TERM; sleep 600"
    assert send(Notify(command=("sh", "-c", script)), tmp_path, seconds=2.0) == "did not end within 2 s"
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not is_alive(child))


class Hook(ThreadingHTTPServer):
    """A webhook that answers with a status, slowly or never."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.dripping = 200, False
        self.received: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{TOKEN}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        while self.server.dripping:
            # Each byte is in time, the answer never.
            self.wfile.write(b"H")
            self.wfile.flush()
            time.sleep(0.1)
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output clean."""


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    with Hook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / "hook").write_text(f"{server.url}\n# of the lab\n")
        yield server
        server.dripping = False
        server.shutdown()


def test_a_webhook_gets_what_chats_show(hook: Hook, tmp_path: Path) -> None:
    assert send(Notify(webhook_file=tmp_path / "hook"), tmp_path) is None
    (found,) = hook.received
    assert found["text"] == found["content"] == "table3/row failed\ndisk full\nrdc-sweep logs x"
    assert (found["occasion"], found["runs"]) == ("failed", [RUN])


@pytest.mark.parametrize("status", [302, 307, 400, 404, 500, 503])
def test_a_webhook_that_refuses(status: int, hook: Hook, tmp_path: Path) -> None:
    hook.status = status
    assert post(tmp_path / "hook", MESSAGE.to_data()) == f"HTTP {status}"
    assert len(hook.received) == 1


def test_a_webhook_that_is_too_slow_is_left(hook: Hook, tmp_path: Path) -> None:
    hook.dripping = True
    problem = send(Notify(webhook_file=tmp_path / "hook"), tmp_path, seconds=2.0)
    assert problem == "did not end within 2 s"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (f"http://127.0.0.1:9/{TOKEN}", "no connection (Connection refused)"),
        (f"http://no-such-host.invalid/{TOKEN}", "no connection ("),
        (f"ftp://example.org/{TOKEN}", "hook: its first line is no http or https URL"),
        (f"http://exa mple/{TOKEN}", "no connection (InvalidURL)"),
        (f"http://[::1/{TOKEN}", "no connection (ValueError)"),
        ("", "hook: cannot be read (IndexError)"),
        (None, "hook: cannot be read (No such file or directory)"),
    ],
)
def test_a_webhook_that_is_no_such_thing_never_shows_its_url(content: str | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "hook").write_text(content)
    found = post(tmp_path / "hook", MESSAGE.to_data())
    assert found is not None
    assert problem in found
    assert TOKEN not in found


def test_the_program_says_what_went_wrong(hook: Hook, tmp_path: Path) -> None:
    hook.status = 500
    assert send(Notify(webhook_file=tmp_path / "hook"), tmp_path) == "HTTP 500"


def test_an_alert_belongs_to_a_run_that_is_at_wandb(backend: Backend, tmp_path: Path) -> None:  # noqa: F811
    run = RunDirectory(tmp_path, RUN)
    run.wandb.mkdir(parents=True)
    problem = send(Notify(wandb=True), tmp_path)
    assert problem is not None
    assert "none of the runs is at W&B" in problem
    IDENTITY.save(run.wandb)
    Server(rows=3).save(run.wandb)
    backend.runs[RUN] = StoredRun("rdc-sweeps", RUN)
    assert send(Notify(wandb=True), tmp_path) is None
    (alert,) = backend.alerts
    assert (alert["entityName"], alert["projectName"], alert["runName"]) == ("lab", "rdc-sweeps", RUN)
    assert (alert["title"], alert["severity"]) == ("table3/row failed", "WARN")
    assert backend.runs[RUN].exit_code is None


@pytest.mark.slow
def test_an_alert_to_a_server_that_hangs_is_bounded(backend: Backend, tmp_path: Path) -> None:  # noqa: F811
    run = RunDirectory(tmp_path, RUN)
    run.wandb.mkdir(parents=True)
    IDENTITY.save(run.wandb)
    Server(rows=3).save(run.wandb)
    backend.fault = Fault.HANG
    assert send(Notify(wandb=True), tmp_path, seconds=4.0) == "did not end within 4 s"
