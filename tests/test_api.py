"""The Python API, and the unchanged example of docs/python.md."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

import rdc_sweeps
from rdc_sweeps.errors import UsageError
from tests.cli.conftest import Cli, cache, cli, environment, experiments
from tests.data.importing.sources import SmallSource

__all__ = ["cache", "cli", "environment", "experiments"]

GUIDE = Path(__file__).parents[1] / "docs" / "python.md"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def tiny(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> rdc_sweeps.Table:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return rdc_sweeps.load_table("tiny", rows=["mtl"], changes={"training.epochs": 1})


def test_the_example_of_the_guide_runs(environment: dict[str, str], tmp_path: Path) -> None:
    (example,) = EXAMPLE.findall(GUIDE.read_text(encoding="utf-8"))
    script = tmp_path / "notebook.py"
    # A notebook's cells are no module that other processes import.
    script.write_text('if __name__ == "__main__":\n' + re.sub("^(?=.)", "    ", example, flags=re.MULTILINE))
    shipped = Path(__file__).parents[1] / "experiments"
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**environment, "RDC_SWEEP_EXPERIMENTS": str(shipped)},
        cwd=tmp_path,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.rpartition(" train ")[2] for line in lines[:2]] == ["new", "new"]
    assert len(lines) == 4
    for line in lines[2:]:
        found = re.search(r" (\d+\.\d+) published (\d+\.\d+)$", line)
        assert found, line
        assert 0 <= float(found.group(1)) <= 100


def test_python_and_the_command_see_the_same_runs(tiny: rdc_sweeps.Table, cli: Cli) -> None:
    assert [one.action for one in rdc_sweeps.plan(tiny)] == ["train"]
    assert rdc_sweeps.report(tiny).missing
    trained = cli("run", "tiny", "mtl", "--set", "training.epochs=1")
    assert trained.returncode == 0, trained.stderr
    assert [(one.state, one.action) for one in rdc_sweeps.plan(tiny)] == [("done", "skip")]
    assert rdc_sweeps.run_table(tiny) == []
    assert not rdc_sweeps.report(tiny).missing


def test_claims_are_those_of_the_command(tiny: rdc_sweeps.Table, cli: Cli) -> None:
    found = rdc_sweeps.claims(["tiny"], seeds=[0, 1])
    (pair,) = found.claims[0].pairs
    assert (found.claims[0].key, pair.better, pair.worse, pair.answer) == (
        "supervised",
        "tiny/ours",
        "tiny/mtl",
        "not measured",
    )
    assert pair.published == {"mIoU": pytest.approx((42.28 - 40.24) / 40.24 * 100)}
    printed = cli("claims", "tiny", "--seeds", "0,1", "--format", "json")
    assert json.loads(printed.stdout)["claims"] == json.loads(json.dumps([asdict(one) for one in found.claims]))
    with pytest.raises(UsageError, match="no table 'tables'"):
        rdc_sweeps.claims(["tables"])


def test_a_failed_run_is_returned_and_left_alone(tiny: rdc_sweeps.Table, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / tiny.runs[0].id
    folder.mkdir(parents=True)
    (folder / "failure.json").write_text('{"cause": "it broke", "traceback": "", "time": 0.0, "host": "here"}')
    (planned,) = rdc_sweeps.plan(tiny)
    assert (planned.state, planned.action) == ("failed", "skip")
    assert rdc_sweeps.run_table(tiny) == [tiny.runs[0].id]
    assert [one.action for one in rdc_sweeps.plan(tiny, retry_failed=True)] == ["train"]


def test_a_study_is_tuned_as_by_the_command(tiny: rdc_sweeps.Table, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(
        "study: small\ntitle: Small\ntable: tiny\nrow: ours\nobjective: {name: metric, metric: aErr}\n"
        "space:\n  method.weight: {log: [0.01, 10]}\npruner: {name: none}\nconfirm: []\ntrials: 2\n"
    )
    found = rdc_sweeps.tune(str(path), changes={"training.epochs": 1}, workers=1, threads=1)
    assert found.complete
    summary = found.report.summary
    assert [trial.phase for trial in summary.trials] == ["complete", "complete"]
    assert summary.best is not None
    assert summary.best.value == min(trial.value for trial in summary.trials if trial.value is not None)
    planned = cli("tune", str(path), "--set", "training.epochs=1", "-n")
    assert "2 trials requested, 2 finished, 0 to do" in planned.stderr
    with pytest.raises(UsageError, match="no study 'smal'"):
        rdc_sweeps.tune("smal")


def test_what_does_not_exist_is_a_usage_error(tiny: rdc_sweeps.Table) -> None:
    with pytest.raises(UsageError, match="no table 'table9'"):
        rdc_sweeps.load_table("table9")
    with pytest.raises(UsageError, match="profil"):
        rdc_sweeps.load_table("tiny", profil="small")
    with pytest.raises(AttributeError, match="no attribute 'launch'"):
        _ = rdc_sweeps.launch


def test_importing_the_package_imports_nothing_else() -> None:
    script = "import sys, rdc_sweeps; print(sorted(name for name in sys.modules if name.startswith('rdc_sweeps')))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['rdc_sweeps']"


def test_a_source_of_ones_own_is_imported(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    written = rdc_sweeps.import_data(SmallSource(), tmp_path / "out", workers=1, progress=lambda *one: told.append(one))
    assert (written.written, written.kept) == (5, 0)
    assert told[-1] == ("imported", 5, 5)
    assert (tmp_path / "out/import.json").is_file()


def test_data_are_packed(tmp_path: Path) -> None:
    rdc_sweeps.import_data(SmallSource(), tmp_path / "out", workers=1)
    reports = rdc_sweeps.pack_data(tmp_path / "out", "nyuv2", size=(32, 64), cache_root=tmp_path / "cache")
    assert [report.folder.is_relative_to(tmp_path / "cache") for report in reports] == [True, True]


def test_the_names_of_the_package_are_listed_and_documented() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for name in set(rdc_sweeps.__all__) - {"Table", "__version__"}:
        assert f"| `{name}(" in guide
        assert getattr(rdc_sweeps, name).__doc__
    assert set(dir(rdc_sweeps)) == set(rdc_sweeps.__all__)


def test_planning_imports_no_torch(environment: dict[str, str], tmp_path: Path) -> None:
    script = (
        "import sys, rdc_sweeps; rdc_sweeps.plan(rdc_sweeps.load_table('tiny'));"
        "print({'torch', 'wandb', 'optuna'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.stdout.strip() == "set()", done.stderr
