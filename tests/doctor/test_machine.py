from pathlib import Path

import pytest
import torch

from rdc_sweeps.doctor.cluster import examine_slurm
from rdc_sweeps.doctor.machine import examine_machine
from rdc_sweeps.doctor.software import examine_software
from rdc_sweeps.settings import Settings
from tests.doctor.conftest import Fake

GPUS = """
if [ "$1" = -L ]; then
    echo "GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-1)"
    echo "  MIG 3g.40gb     Device  0: (UUID: MIG-1)"
    echo "  MIG 3g.40gb     Device  1: (UUID: MIG-2)"
else
    echo "NVIDIA A100-SXM4-80GB, 81920 MiB, 580.65.06, Enabled"
    echo "Tesla T4, 15360 MiB, 580.65.06, [N/A]"
fi
"""
SINFO = """
case "$*" in
    *--version*) echo "slurm 24.05.3" ;;
    *) echo "gpu*|gpu:a100:4|12|2-00:00:00|up"; echo "cpu|(null)|40|7-00:00:00|down" ;;
esac
"""


def told(findings: object) -> dict[str, tuple[str, str]]:
    return {one.topic: (one.level, one.text) for one in findings}  # type: ignore[attr-defined]


def test_versions_are_told() -> None:
    found = told(examine_software())
    assert found["project"][1].startswith("rdc-sweeps ")
    assert f"torch {torch.__version__.partition('+')[0]}" in found["packages"][1]


def test_a_machine_without_gpus_is_all_right(fake: Fake) -> None:
    found = told(examine_machine())
    assert found["cores"][0] == "ok"
    if not torch.cuda.is_available():
        assert found["PyTorch"][0] == "ok"
        assert "GPU" not in found


def test_gpus_that_torch_does_not_see_are_a_problem(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("nvidia-smi", GPUS)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    findings = list(examine_machine())
    gpus = [one.text for one in findings if one.topic == "GPU"]
    assert gpus == [
        "NVIDIA A100-SXM4-80GB, 81920 MiB, driver 580.65.06, MIG enabled",
        "Tesla T4, 15360 MiB, driver 580.65.06, no MIG",
    ]
    assert told(findings)["MIG"][1] == "2 instances: MIG 3g.40gb"
    (problem,) = [one for one in findings if one.topic == "PyTorch"]
    assert problem.level == "problem"
    assert problem.remedy is not None


def test_gpus_that_torch_sees_are_all_right(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("nvidia-smi", GPUS)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert told(examine_machine())["PyTorch"][0] == "ok"


def test_no_slurm_is_a_problem_only_where_it_is_wanted(fake: Fake) -> None:
    assert [(one.level, one.text) for one in examine_slurm(Settings(executor="local"))] == [
        ("ok", "not available on this host")
    ]
    assert [one.level for one in examine_slurm(Settings(executor="slurm"))] == ["problem"]


def test_a_slurm_that_does_not_answer_is_reported(fake: Fake) -> None:
    fake("sinfo", "exit 1")
    assert [one.level for one in examine_slurm(Settings())] == ["warning"]


def test_partitions_limits_and_the_node_profile(fake: Fake) -> None:
    fake("sinfo", SINFO)
    fake("scontrol", "echo 'MaxArraySize            = 1001'")
    fake("sacctmgr", "echo 'lab|gpu|normal|20|1000|gres/gpu=16'")
    mine = {"mine": {"partition": "gpu", "gpu": "a100"}}
    findings = list(examine_slurm(Settings(executor="slurm", node="mine", nodes=mine)))
    assert {one.level for one in findings} == {"ok", "warning"}
    found = told(findings)
    assert found["Slurm"][1] == "slurm 24.05.3, arrays of up to 1000 runs"
    assert [one.text for one in findings if one.topic == "partition"] == [
        "gpu (default): 12 nodes, gpu:a100:4, time limit 2-00:00:00, up",
        "cpu: 40 nodes, (null), time limit 7-00:00:00, down",
    ]
    assert "MaxJobs 20" in found["limits"][1]
    assert found["node mine"] == ("ok", "partition gpu, GPU a100")


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"partition": "big", "gpu": "a100"}, "no partition big"),
        ({"partition": "gpu", "gpu": "h100"}, "no GPU h100"),
        ({"partition": "cpu", "gpu": "a100"}, "no GPU a100"),
        ({"cpus": 0}, "cpus"),
    ],
)
def test_a_profile_that_the_cluster_lacks_is_reported(fake: Fake, profile: dict[str, object], words: str) -> None:
    fake("sinfo", SINFO)
    found = told(examine_slurm(Settings(executor="slurm", node="mine", nodes={"mine": profile})))
    assert found["node mine"][0] == "problem"
    assert words in found["node mine"][1]


def test_an_account_that_slurm_does_not_know_is_no_problem(fake: Fake) -> None:
    fake("sinfo", SINFO)
    assert told(examine_slurm(Settings()))["limits"][0] == "ok"
    assert not Path("none").exists()
