import json

from tests.cli.conftest import Cli

KEY = "0123456789abcdef0123456789abcdef01234567"


def test_an_examination_is_one_block_and_shows_no_key(cli: Cli) -> None:
    shown = cli("doctor", WANDB_API_KEY=KEY, COLUMNS="80")
    assert shown.returncode == 0, shown.stdout
    assert "0 problems" in shown.stderr
    assert "rdc-sweeps" in shown.stdout
    assert "key found" in shown.stdout
    assert KEY not in shown.stdout + shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80


def test_a_problem_is_named_with_its_remedy_and_is_an_exit_code(cli: Cli) -> None:
    shown = cli("doctor", "--json", "--root", "/proc/none")
    assert shown.returncode == 1
    (problem,) = [one for one in json.loads(shown.stdout) if one["level"] == "problem"]
    assert problem["topic"] == "runs"
    assert problem["remedy"] == "choose a writable folder"
