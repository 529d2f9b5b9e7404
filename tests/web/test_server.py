"""The server of the board: to whom it answers, with what, and what it reads for it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rdc_sweeps.errors import DamagedError, UsageError
from rdc_sweeps.runs import directory, events
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.web import server as served
from rdc_sweeps.web.server import BoardServer, LiveSite
from rdc_sweeps.web.site import Site
from tests.reporting.conftest import Bench
from tests.web.making import epochs, finish, log, site_reader, usual


class Fixed:
    """Reads a site that does not change."""

    def __init__(self, **files: bytes) -> None:
        self.reads = 0
        self.files = {"index.html": b"first", "runs/a.html": b"<p>\xc3\xa4</p>", **files}

    def read(self) -> Site:
        self.reads += 1
        return Site({name: (lambda content=content: content) for name, content in self.files.items()})  # type: ignore[misc]


@contextmanager
def running(reader: object) -> Iterator[BoardServer]:
    with BoardServer(LiveSite(reader)) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server: BoardServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def test_pages_are_sent_with_their_type() -> None:
    with running(Fixed()) as server:
        assert server.address == f"http://127.0.0.1:{server.server_port}/"
        assert ask(server, "/")[2] == ask(server, "/index.html?x=1")[2] == b"first"
        status, headers, content = ask(server, "/runs/a.html")
        assert (status, content.decode()) == (200, "<p>ä</p>")
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_what_has_not_changed_is_not_sent_again() -> None:
    with running(Fixed()) as server:
        tag = ask(server, "/")[1]["ETag"]
        assert ask(server, "/", If_None_Match=tag)[::2] == (304, b"")
        assert ask(server, "/", If_None_Match='"other"')[::2] == (200, b"first")
        assert ask(server, "/", "HEAD")[::2] == (200, b"")


@pytest.mark.parametrize(
    "path",
    ["/../secret", "/runs/../../secret", "/%2e%2e/secret", "/runs/%2e%2e%2f%2e%2e%2fsecret", "//etc/passwd", "/runs/"],
)
def test_nothing_but_the_pages_is_sent(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("of the disk")
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    with running(Fixed()) as server:
        assert ask(server, path)[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost:1", ""])
def test_a_page_elsewhere_cannot_ask_under_its_own_name(host: str) -> None:
    with running(Fixed()) as server:
        status, _, content = ask(server, "/", Host=host.format(port=server.server_port))
        assert status == 421
        assert b"first" not in content
        assert ask(server, "/", Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    with running(Fixed()) as server:
        assert ask(server, "/", method)[0] == 501


def test_it_listens_on_this_machine_alone() -> None:
    with running(Fixed()) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_named() -> None:
    with running(Fixed()) as server, pytest.raises(UsageError, match=rf"port {server.server_port} .*--port"):
        BoardServer(LiveSite(Fixed()), server.server_port)  # type: ignore[arg-type]


def test_many_browsers_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "FRESH_SECONDS", 3600.0)
    reader = Fixed()
    with running(reader) as server:
        for _ in range(5):
            ask(server, "/")
    assert reader.reads == 1


def test_a_table_that_cannot_be_read_is_an_error_of_this_page_alone() -> None:
    def fail() -> bytes:
        raise DamagedError("study.yaml: is damaged")

    class Broken(Fixed):
        def read(self) -> Site:
            return Site({**super().read().files, "broken.html": fail})

    with running(Broken()) as server:
        assert ask(server, "/broken.html")[::2] == (500, b"study.yaml: is damaged\n")
        assert ask(server, "/")[0] == 200


def test_only_runs_whose_files_changed_are_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(served, "READING_SHARE", 1e9)
    runs = usual(bench)
    read: list[str] = []

    def counted(path: Path) -> bytes:
        read.append(path.parent.name)
        return path.read_bytes()

    monkeypatch.setattr(directory, "read_file", counted)
    decoded: list[int] = []
    decode = events.decode

    def counted_line(line: bytes, number: int) -> events.Event:
        decoded.append(number)
        return decode(line, number)

    monkeypatch.setattr(events, "decode", counted_line)
    with running(site_reader(bench, runs, live=True)) as server:
        ask(server, "/table3.html")
        assert set(read) >= {run.id for run in runs[:9]}
        assert decoded == [0, 1]
        read.clear()
        decoded.clear()
        before = ask(server, "/table3.html")[1]["ETag"]
        assert (read, decoded) == ([], [])
        log(bench, runs[13], epochs(1.0, 2))
        finish(bench, runs[14], 1.0)
        after = ask(server, "/table3.html")[1]["ETag"]
        assert after != before
        assert set(read) == {runs[14].id}
        # A log that was replaced is read from its beginning.
        assert decoded == [0, 1]
        with RunDirectory(bench.root, runs[13].id).events.open("ab") as file:
            file.write(b"{half a line")
        assert ask(server, "/table3.html")[1]["ETag"] == after
