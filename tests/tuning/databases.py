"""A PostgreSQL server of the tests' own, on loopback, in a folder of its own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "correct horse: battery/staple"


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; distributions keep them out of PATH."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


@contextmanager
def postgresql() -> Iterator[str]:
    """A running server; its URL is without the password."""
    folder = programs()
    if folder is None:
        if os.environ.get("RDC_REQUIRE_POSTGRES") == "1":
            pytest.fail("RDC_REQUIRE_POSTGRES=1, but there is no initdb")
        pytest.skip("no PostgreSQL here")
    pytest.importorskip("psycopg")
    home = Path(tempfile.mkdtemp(prefix="rdc-postgresql-"))
    secret = home / "password"
    secret.write_text(PASSWORD)
    owner, group = None, None
    if os.getuid() == 0:
        # It refuses to run as root.
        user = pwd.getpwnam("postgres")
        owner, group = user.pw_uid, user.pw_gid
        for path in (home, secret):
            os.chown(path, user.pw_uid, user.pw_gid)
    data = home / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        subprocess.run(
            [folder / "initdb", "-D", data, "-U", "tuner", "-A", "scram-sha-256", f"--pwfile={secret}", "--no-sync"],
            check=True, capture_output=True, cwd=home, user=owner, group=group,
        )  # fmt: skip
        process = subprocess.Popen(
            [folder / "postgres", "-D", data, "-p", str(port), "-k", home, "-h", "127.0.0.1", "-F"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=home, user=owner, group=group,
        )  # fmt: skip
        try:
            _await(port)
            yield f"postgresql://tuner@127.0.0.1:{port}/postgres"
        finally:
            # A fast shutdown: terminated, it would wait for the last client.
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _await(port: int) -> None:
    import psycopg

    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user="tuner", password=PASSWORD, dbname="postgres").close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
