"""Which of online, offline and disabled a run gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.tracking.mode import PUBLIC_URL, has_key, resolve_mode, server_url

KEY = {"WANDB_API_KEY": "0" * 40}


@pytest.mark.parametrize(
    ("requested", "environ", "mode"),
    [
        ("disabled", {"RDC_SWEEP_WANDB": "online", "WANDB_MODE": "offline", **KEY}, "disabled"),
        (None, {"RDC_SWEEP_WANDB": "disabled", "WANDB_MODE": "offline", **KEY}, "disabled"),
        (None, {"WANDB_MODE": "offline", **KEY}, "offline"),
        (None, {"WANDB_MODE": "dryrun", **KEY}, "offline"),
        (None, {"RDC_SWEEP_WANDB": "", "WANDB_MODE": "", **KEY}, "online"),
        (None, {}, "offline"),
        ("online", {}, "online"),
    ],
)
def test_precedence(requested: str | None, environ: dict[str, str], mode: str, tmp_path: Path) -> None:
    assert resolve_mode(requested, {"HOME": str(tmp_path), **environ}) == mode


@pytest.mark.parametrize(
    ("requested", "environ", "named"),
    [("onlin", {}, "--wandb"), (None, {"WANDB_MODE": "yes"}, "WANDB_MODE"), ("dryrun", {}, "--wandb")],
)
def test_an_unknown_mode_is_refused_with_its_source(requested: str | None, environ: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=f"{named}=.*online, offline, disabled"):
        resolve_mode(requested, environ)


def netrc(folder: Path, host: str) -> dict[str, str]:
    (folder / ".netrc").write_text(f"machine {host}\n  login user\n  password {'0' * 40}\n")
    (folder / ".netrc").chmod(0o600)
    return {"HOME": str(folder)}


def test_a_key_in_the_netrc_file_counts(tmp_path: Path) -> None:
    assert has_key(netrc(tmp_path, "api.wandb.ai"))


@pytest.mark.parametrize("host", [None, "https://wandb.example.org"])
def test_what_the_login_of_wandb_stores_is_a_key(host: str | None, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    # As `wandb login`, which asks the server whether it knows the key.
    log_in = f"import wandb; wandb.login(key='{'0' * 40}', host={host!r}, relogin=True, verify=False)"
    assert not has_key(environ)
    subprocess.run([sys.executable, "-c", log_in], env=environ, cwd=tmp_path, check=True, capture_output=True)
    assert has_key(environ)
    assert server_url(environ) == (host or PUBLIC_URL)


def test_unreadable_settings_of_wandb_are_none(tmp_path: Path) -> None:
    (tmp_path / "settings").write_bytes(b"\xff no section")
    assert server_url({"WANDB_CONFIG_DIR": str(tmp_path)}) == PUBLIC_URL


def test_a_netrc_file_elsewhere_counts(tmp_path: Path) -> None:
    netrc(tmp_path, "api.wandb.ai")
    assert has_key({"HOME": str(tmp_path / "none"), "NETRC": str(tmp_path / ".netrc")})


def test_a_key_for_another_server_does_not_count(tmp_path: Path) -> None:
    environ = {**netrc(tmp_path, "api.wandb.ai"), "WANDB_BASE_URL": "https://wandb.example.org"}
    assert not has_key(environ)
    assert has_key({**netrc(tmp_path, "wandb.example.org"), "WANDB_BASE_URL": "https://wandb.example.org"})


def test_a_broken_netrc_file_is_no_key(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine\nmachine")
    assert not has_key({"HOME": str(tmp_path)})
