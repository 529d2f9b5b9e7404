import pytest

from rdc_sweeps.doctor.wandb_access import examine_wandb
from rdc_sweeps.settings import Settings
from tests.tracking.backend import Backend

SECRET = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No key, no mode, no server."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "RDC_SWEEP_WANDB", "NETRC", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")


def test_without_a_key_runs_are_tracked_offline_and_that_is_all_right() -> None:
    findings = list(examine_wandb(Settings()))
    assert [one.level for one in findings] == ["ok", "ok"]
    assert findings[0].text == "offline, no key"


def test_a_server_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    with Backend() as backend:
        monkeypatch.setenv("WANDB_BASE_URL", backend.url)
        findings = list(examine_wandb(Settings()))
    assert [one.level for one in findings] == ["ok", "ok"]
    assert SECRET not in str(findings)


def test_online_without_key_or_server_is_a_warning_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://ada:{SECRET}@127.0.0.1:9")
    findings = list(examine_wandb(Settings(wandb="online")))
    assert [one.level for one in findings] == ["warning", "warning"]
    assert all(one.remedy for one in findings)
    assert SECRET not in str(findings)


def test_disabled_mode_contacts_no_server() -> None:
    assert [one.text for one in examine_wandb(Settings(wandb="disabled"))] == ["disabled, no key"]


def test_a_mode_that_does_not_exist_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    assert [one.level for one in examine_wandb(Settings())] == ["problem"]
