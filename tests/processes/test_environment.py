import json
import os
import subprocess
import sys
from multiprocessing import process
from pathlib import Path

import pytest

import rdc_sweeps
from rdc_sweeps.errors import UsageError
from rdc_sweeps.processes.environment import check_package, import_path, worker_environment

SCRIPT = """
import importlib.util, json, os, random, sys, tempfile
from rdc_sweeps.processes.children import fork_server


def child(connection):
    import random, rdc_sweeps
    connection.send({
        "files": [rdc_sweeps.__file__, random.__file__, importlib.util.find_spec("timm").origin],
        "variables": dict(os.environ),
        "temporary": tempfile.gettempdir(),
        "neighbour": importlib.util.find_spec("neighbour").origin,
    })


if __name__ == "__main__":
    before = dict(os.environ), list(sys.path), tempfile.gettempdir()
    context = fork_server()
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there,))
    process.start()
    print(json.dumps(here.recv()))
    process.join()
    assert before == (dict(os.environ), list(sys.path), tempfile.gettempdir())
"""


def test_a_worker_imports_what_is_installed_and_has_an_environment_of_its_own(tmp_path: Path) -> None:
    decoys, scripts = tmp_path / "here", tmp_path / "scripts"
    for package in ("timm", "rdc_sweeps"):
        (decoys / package).mkdir(parents=True)
        (decoys / package / "__init__.py").write_text("raise RuntimeError('not this one')")
    (decoys / "random.py").write_text("raise RuntimeError('not this one')")
    scripts.mkdir()
    (scripts / "script.py").write_text(SCRIPT)
    (scripts / "neighbour.py").touch()
    long = tmp_path / ("x" * 110)
    long.mkdir()
    foreign = {
        "WORLD_SIZE": "2",
        "RANK": "0",
        "MASTER_ADDR": "10.0.0.1",
        "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "8",
        "WANDB_CONFIG_PATHS": "nowhere.yaml",
        "WANDB_RUN_ID": "another",
    }
    done = subprocess.run(
        [sys.executable, str(scripts / "script.py")],
        cwd=decoys,
        env={**os.environ, **foreign, "WANDB_BASE_URL": "http://kept", "TMPDIR": str(long), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["files"][0] == rdc_sweeps.__file__
    assert not [file for file in found["files"] if Path(file).is_relative_to(tmp_path)]
    assert found["neighbour"] == str(scripts / "neighbour.py")
    assert found["variables"].keys().isdisjoint(foreign)
    assert (found["variables"]["WANDB_BASE_URL"], found["variables"]["PYTHONSAFEPATH"]) == ("http://kept", "1")
    assert len(found["temporary"]) < 60


def test_variables_are_left_out_by_families_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "LOCAL_RANK", "TIMM_FUSED_ATTN", "NVIDIA_TF32_OVERRIDE", "WANDB_SWEEP_ID"):
        monkeypatch.setenv(name, "1")
    for name in ("WANDB_API_KEY", "CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME", "HF_HUB_OFFLINE"):
        monkeypatch.setenv(name, "1")
    built = worker_environment()
    wanted = {"LOCAL_RANK", "NVIDIA_TF32_OVERRIDE", "TIMM_FUSED_ATTN", "TORCHELASTIC_RUN_ID", "WANDB_SWEEP_ID"}
    assert wanted <= set(built.left_out)
    assert wanted.isdisjoint(built.variables)
    assert "LOCAL_RANK, NVIDIA_TF32_OVERRIDE" in built.messages[0]
    assert {"WANDB_API_KEY", "CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME", "HF_HUB_OFFLINE"} <= built.variables.keys()


def test_a_folder_of_pythonpath_keeps_its_place_and_an_accidental_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ORIGINAL_DIR", str(tmp_path), raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", os.environ.get("PYTHONPATH", "")]))
    assert import_path().index(str(tmp_path)) > import_path().index(str(Path(os.__file__).parent))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert import_path()[0] == str(tmp_path)


def test_workers_that_would_import_another_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rdc_sweeps").mkdir()
    (tmp_path / "rdc_sweeps" / "__init__.py").touch()
    check_package()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"its workers would import .*: install it"):
        check_package()
    (tmp_path / "rdc_sweeps" / "__init__.py").unlink()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(UsageError, match=r"its workers would not find it: install it"):
        check_package()


@pytest.mark.parametrize("name", ["random.py", "typing_extensions.py", "rich.py"])
def test_a_file_of_the_working_directory_stands_in_for_no_module_of_the_command(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("raise RuntimeError('not this one')")
    done = subprocess.run(
        [sys.executable, "-m", "rdc_sweeps", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
