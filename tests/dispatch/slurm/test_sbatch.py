"""Job files against goldens; `RDC_WRITE_GOLDENS=1 pytest tests/dispatch/slurm` rewrites them; review the difference."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.dispatch.slurm.nodes import node_profile
from rdc_sweeps.dispatch.slurm.sbatch import JobFile, job_file_text
from rdc_sweeps.dispatch.slurm.submissions import Submission
from rdc_sweeps.dispatch.slurm.submitter import worker_settings
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Notify, Settings

GOLDENS = Path(__file__).parent / "goldens"

PROFILES: dict[str, dict[str, Any]] = {
    "a100": {},
    "a100-preemptible": {},
    "cpu": {},
    "lab": {
        "extends": "a100",
        "partition": "gpu-long",
        "account": "vision",
        "qos": "high",
        "constraint": "a100&nvlink",
        "reservation": "deadline",
        "exclusive": True,
        "time_limit": "2-00:00:00",
        "memory": "120G",
        "sbatch": {"mail-type": "END,FAIL", "contiguous": True, "nice": 100, "spread-job": False},
        "setup": ["module purge", "module load cuda/12.8", "source ~/venv/bin/activate"],
        "python": "python3 -X faulthandler",
    },
    "pyxis": {
        "extends": "a100",
        "container": {"engine": "pyxis", "image": "registry.example#lab/rdc:1", "mounts": ["/opt/extra:/extra:ro"]},
    },
    "apptainer": {"extends": "a100", "container": {"engine": "apptainer", "image": "/shared/images/rdc sweeps.sif"}},
    "apptainer-cpu": {"extends": "cpu", "container": {"engine": "apptainer", "image": "/shared/rdc.sif"}},
}


def text(
    name: str, own: dict[str, dict[str, Any]] = PROFILES, *, gpus: float = 1, kind: str = "runs", **values: Any
) -> str:
    settings = Settings(
        root=Path("/shared/my runs"),
        cache_root=Path("/shared/cache"),
        nyuv2_root=Path("/data/nyuv2"),
        gpus_per_run=gpus,
        **values,
    )
    submission = Submission.model_validate(
        {
            "id": "20260101-120000-abcdef",
            "kind": kind,
            "time": 0,
            "host": "login",
            "user": "me",
            "table": "table3",
            "node": name,
            "runs": 12,
        }
    )
    profile = node_profile(name, own)
    command = ("study-worker", "my study") if kind == "command" else ()
    return job_file_text(JobFile(submission, profile, worker_settings(settings, profile), command=command))


@pytest.fixture(autouse=True, scope="module")
def _python() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", "/opt/venv/bin/python")
        yield


def compare(case: str, found: str) -> None:
    golden = GOLDENS / f"{case}.sbatch"
    if os.environ.get("RDC_WRITE_GOLDENS"):
        golden.write_text(found, encoding="utf-8")
    assert found == golden.read_text(encoding="utf-8")
    checked = subprocess.run(["bash", "-n"], input=found, text=True, capture_output=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("name", PROFILES)
def test_job_files(name: str) -> None:
    compare(name, text(name))


def test_job_file_of_a_run_on_four_gpus() -> None:
    found = text("a100", gpus=4)
    compare("a100-4-gpus", found)
    for line in ("--gres=gpu:a100:4", "--cpus-per-task=32", "--mem=256G"):
        assert f"#SBATCH {line}\n" in found


def test_job_file_of_the_preparation() -> None:
    compare("preparation", text("a100", kind="preparation", gpus=4))


def test_job_file_of_a_command() -> None:
    compare("command", text("a100", kind="command", gpus=2))


def test_job_file_with_notifications() -> None:
    notify = Notify(webhook_file=Path("/shared/my hook"), command=("mail", "$(id)"))
    compare("notify", text("a100", notify=notify))
    compare("preparation", text("a100", kind="preparation", gpus=4, notify=notify))
    assert "/shared/my hook:/shared/my hook" in text("apptainer", notify=notify)


def test_any_gpu_and_no_more_runs_at_once_than_asked_for() -> None:
    found = text("mine", {"mine": {"gpu": "any"}}, max_parallel=3)
    assert "#SBATCH --gres=gpu:1\n" in found
    assert "#SBATCH --array=0-11%3\n" in found


def test_slurm_gives_whole_gpus() -> None:
    with pytest.raises(UsageError, match="whole"):
        text("a100", gpus=0.5)
    assert "--gres" not in text("cpu", gpus=2)


@pytest.mark.parametrize("folder", ["/shared/100%j", "/shared/a\\b", "/shared/a\nb"])
def test_folders_that_slurm_would_read_otherwise_are_refused(folder: str) -> None:
    profile = node_profile("a100", {})
    settings = worker_settings(Settings(root=Path(folder)), profile)
    submission = Submission(id="i", kind="runs", time=0, host="h", user="u", table="t", node="a100", runs=1)
    with pytest.raises(UsageError, match="choose another root"):
        job_file_text(JobFile(submission, profile, settings))


def test_folders_that_cannot_be_mounted_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be mounted"):
        text("pyxis", weights_root=Path("/data/a:b"))


def commands(found: str) -> list[str]:
    """What bash would run, and not take as a comment."""
    return [line for line in found.splitlines() if line and not line.startswith("#")]


@given(
    field=st.sampled_from(["partition", "account", "qos", "constraint", "reservation", "gpu", "memory", "time_limit"]),
    value=st.text()
    | st.sampled_from(["a\nrm -rf /", "a\r\nb", "$(id)", "`id`", "a; id", "'; id #", "a b", "a\u2028b"]),
)
def test_values_never_become_commands(field: str, value: str) -> None:
    plain = commands(text("a100", {}))
    try:
        found = text("a100", {"a100": {field: value}})
    except UsageError:
        return
    assert commands(found) == plain
    assert [line for line in found.split("\n") if not line.startswith("#SBATCH")] == [
        line for line in text("a100", {}).split("\n") if not line.startswith("#SBATCH")
    ]


@given(value=st.text())
def test_further_options_and_comments_stay_on_their_line(value: str) -> None:
    try:
        found = text("a100", {"a100": {"sbatch": {"mail-user": value}}})
    except UsageError:
        return
    (line,) = [line for line in found.split("\n") if line.startswith("#SBATCH --mail-user=")]
    assert shlex.split(line.removeprefix("#SBATCH ")) == [f"--mail-user={value}"]
    assert commands(found) == commands(text("a100", {}))


@given(image=st.text(), python=st.text(alphabet="ab $;`'\"\\\n&|", max_size=8))
def test_images_and_python_reach_the_shell_as_words(image: str, python: str) -> None:
    try:
        found = text("x", {"x": {"python": python, "container": {"engine": "apptainer", "image": image}}})
    except UsageError:
        return
    (line,) = [line for line in found.split("\n") if line.startswith("srun ")]
    words = shlex.split(line)
    start = words.index("apptainer")
    assert words[start + 3] == image
    assert words[start + 4 :][: len(shlex.split(python))] == shlex.split(python)
    assert len(commands(found)) == len(commands(text("cpu", {})))
