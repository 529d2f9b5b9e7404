"""A W&B server on loopback, and an environment that knows of no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tracking.backend import Backend

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def backend(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    with Backend() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no user's configuration, an unreachable server; uploads every second instead of every 15."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "RDC_SWEEP_WANDB", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_X_FILE_STREAM_TRANSMIT_INTERVAL", "1")
