import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.specs.test_compat import EXPERIMENTS, walk


def test_tables_shows_rows_published_numbers_ids_and_states(cli: Cli) -> None:
    shown = cli("tables")
    assert shown.returncode == 0
    assert "tiny: Two small rows" in shown.stdout
    assert "42.28" in shown.stdout
    assert "2 rows, 2 runs under profile small: 2 planned" in shown.stderr
    entries = json.loads(cli("tables", "tiny", "--json").stdout)
    assert [(entry["row"], entry["state"], len(entry["run"])) for entry in entries] == [
        ("mtl", "planned", 16),
        ("ours", "planned", 16),
    ]


def test_validate_reports_every_problem_at_once(cli: Cli, experiments: Path) -> None:
    assert cli("validate").returncode == 0
    path = experiments / "tiny.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 0").replace("weight: 0.5", "wait: 0.5"))
    checked = cli("validate")
    assert checked.returncode == 3
    assert f"{path}:" in checked.stderr
    assert "training.epochs" in checked.stderr
    assert "method.wait" in checked.stderr


def test_schema_is_json_schema(cli: Cli) -> None:
    for name in ("table", "profile", "run", "report", "claims"):
        assert "properties" in json.loads(cli("schema", name).stdout)


def test_dry_run_says_what_would_be_done_and_why(cli: Cli, tmp_path: Path) -> None:
    entries = json.loads(cli("run", "tiny", "-n", "--json", "--seeds", "0,1").stdout)
    assert [(entry["row"], entry["seed"], entry["action"], entry["reason"], entry["steps"]) for entry in entries] == [
        ("mtl", 0, "train", "new", 4),
        ("mtl", 1, "train", "new", 4),
        ("ours", 0, "train", "new", 4),
        ("ours", 1, "train", "new", 4),
    ]
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_loses_nothing_on_a_narrow_terminal(cli: Cli, tmp_path: Path) -> None:
    wide = cli("run", "tiny", "-n", COLUMNS="80").stdout.splitlines()
    narrow = cli("run", "tiny", "-n", COLUMNS="50").stdout
    assert len(wide) == 3
    for line in wide[1:]:
        run = line.split()[2]
        assert len(run) == 16
        # What does not fit goes on in the line below, in its column.
        assert run in _joined(narrow, column=2)


def _joined(table: str, column: int) -> str:
    """The texts of a column, whatever lines they are broken into."""
    head, *lines = table.splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    return "".join(line[starts[column] : starts[column + 1]].strip() for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tables", "tinny"], 2, "did you mean 'tiny'"),
        (["run", "tiny", "our", "-n"], 2, "did you mean 'ours'"),
        (["run", "tiny", "-n", "--profile", "papr"], 2, "small"),
        (["run", "tiny", "-n", "--seeds", "x"], 2, "--seeds"),
        (["run", "tiny", "-n", "--set", "training.epochs=0"], 3, "--set training.epochs=0: training.epochs"),
        (["run", "tiny", "-n", "--set", "epochs"], 3, "path.to.field=value"),
        (["run", "tiny", "--wandb", "on"], 2, "wandb"),
        (["run", "tiny", "--device", "tpu"], 2, "device"),
        (["show", "../x"], 2, "no run"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_input_is_named_with_what_is_valid(cli: Cli, arguments: list[str], code: int, message: str) -> None:
    result = cli(*arguments)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_variable_is_an_error(cli: Cli) -> None:
    result = cli("tables", RDC_SWEEP_NYU_ROOT="/data")
    assert result.returncode == 2
    assert "RDC_SWEEP_NYU_ROOT: no such setting" in result.stderr
    assert "RDC_SWEEP_NYUV2_ROOT" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["tables"],
        ["validate"],
        ["schema"],
        ["run", "tiny", "-n"],
        ["config"],
        ["run", "--help"],
        ["status"],
        ["status", "tiny"],
        ["cancel", "tiny"],
        ["report", "tiny"],
        ["claims"],
    ],
)
def test_looking_imports_nothing_heavy(arguments: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from rdc_sweeps.cli.main import main\n"
        f"sys.argv = ['rdc-sweep', *{arguments!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'wandb', 'timm', 'skimage', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_set_leads_from_the_released_code_to_the_run_of_the_paper(cli: Cli) -> None:
    shown = ["run", "table3", "one-region-gaussian", "-n", "--json", "--profile", "paper"]
    switches = [word for setting, _ in walk("table3", "one-region-gaussian", "released") for word in ("--set", setting)]
    assert len(switches) > 10
    ids = []
    for arguments in ([], ["--compat", "released"], ["--compat", "released", *switches]):
        (run,) = json.loads(cli(*shown, *arguments, RDC_SWEEP_EXPERIMENTS=str(EXPERIMENTS)).stdout)
        ids.append(run["run"])
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]
