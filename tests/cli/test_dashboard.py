import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli, Inside
from tests.dashboards.keys import references
from tests.tracking.backend import Backend, Fault

KEY = "0123456789abcdef0123456789abcdef01234567"


def at_path(config: Any, path: str) -> Any:
    """A field of a config; KeyError if there is none."""
    for part in path.split("."):
        config = config[part]
    return config


@pytest.mark.slow
def test_everything_that_a_dashboard_names_is_at_wandb_after_a_real_sweep(cli: Cli, tmp_path: Path) -> None:
    # Every metric has a label to be measured by.
    changes = ("training.probe={every: 1, images: 4}", "training.epochs=1", "labels={setting: full}")
    probed = [word for change in changes for word in ("--set", change)]
    with Backend() as backend:
        backend.fault, backend.delay = Fault.SLOW, 0.05
        server = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": backend.url, "RDC_SWEEP_WANDB": "online"}
        assert cli("run", "tiny", *probed, **server).returncode == 0
        for _ in range(2):
            sent = cli("dashboard", "tiny", *probed, **server)
            assert sent.returncode == 0, sent.stderr
            assert KEY not in sent.stdout + sent.stderr
        assert sorted(view.type for view in backend.views.values()) == ["project-view", "runs"]
        for view in backend.views.values():
            named = references(json.loads(view.spec))
            runs = list(backend.runs.values())
            assert named.runs == set(backend.runs)
            assert named.grouping == {"jobType"}
            assert {run.jobType for run in runs} == {"mtl", "ours"}
            assert {run.groupName for run in runs} == {"tiny"}
            logged: list[set[object]] = [{key for row in run.history for key in row} for run in runs]
            # All rows have metrics and losses; some have a contrast.
            assert named.history <= set.union(*logged)
            assert {
                "epoch",
                "test/mIoU",
                "validation/mErr",
                "loss",
                "loss/semantic",
            } <= named.history & set.intersection(*logged)
            assert {"contrast/accuracy", "loss/contrast", "probe/region_contrast/alignment"} <= named.history
            images = {
                key for run in runs for row in run.history for key, value in row.items() if isinstance(value, dict)
            }
            assert named.pictures == images
            for run in runs:
                assert named.summary <= set(run.summary())
                for path in named.config:
                    at_path(run.settings(), path)


def test_a_dry_run_needs_no_server_and_writes_json(cli: Cli, tmp_path: Path) -> None:
    done = cli("dashboard", "tiny", "--dry-run", "-o", str(tmp_path / "d.json"), RDC_SWEEP_WANDB_ENTITY="lab")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    content = json.loads((tmp_path / "d.json").read_text())
    assert (content["entity"], content["project"]) == ("lab", "rdc-sweeps")
    assert [view["displayName"] for view in content["views"]] == ["tiny under profile small"] * 2
    assert "40.24" in json.dumps(content["views"][1])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tiny"], 5, "no W&B key found"),
        (["tiny", "-o", "x.json"], 2, "--output is for --dry-run"),
        (["tinny", "-n"], 2, "no table or study 'tinny'; did you mean 'tiny'?"),
        (["some-study", "-n", "--seeds", "1"], 2, "no table 'some-study'"),
        (["-n"], 2, "no runs under profile small and no studies"),
        (["tiny", "-n", "--set", "training.epochs=0"], 3, "training.epochs"),
    ],
)
def test_what_cannot_be_shown_is_explained(inside: Inside, arguments: list[str], code: int, message: str) -> None:
    answer = inside("dashboard", *arguments)
    assert answer.code == code
    assert message in answer.err
    assert answer.out == ""
