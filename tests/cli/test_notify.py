from pathlib import Path

import pytest

from tests.cli.conftest import Inside


def test_without_settings_it_says_how_to_set_it_up(inside: Inside) -> None:
    answer = inside("notify")
    assert answer.code == 2
    assert "webhook_file" in answer.err


@pytest.mark.parametrize(("command", "code", "said"), [("true", 0, "command: sent"), ("false", 5, "exit code 1")])
def test_a_test_message_shows_whether_it_arrives(
    inside: Inside, command: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RDC_SWEEP_NOTIFY", f'{{"command": ["{command}"]}}')
    answer = inside("notify", "--test")
    assert answer.code == code
    assert said in answer.err
    assert not (tmp_path / "runs").exists()


def test_a_pass_where_nothing_is_due_is_silent(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RDC_SWEEP_NOTIFY", '{"command": ["true"]}')
    answer = inside("notify")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
