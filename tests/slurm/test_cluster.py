import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.slurm.cluster import Cluster, wait_for
from tests.slurm.daemons import GPUS, NODES

pytestmark = pytest.mark.slow


def has_text(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def test_jobs_get_gpus_are_preempted_and_survive_a_node(cluster: Cluster, tmp_path: Path) -> None:
    script = f'echo "$SLURM_RESTART_COUNT $CUDA_VISIBLE_DEVICES" >> {tmp_path}/$SLURM_JOB_ID; sleep 600'
    low = [
        cluster.submit(script, f"--gres=gpu:a100:{GPUS}", "--requeue", "--open-mode=append", f"--nodelist={node}")
        for node in NODES
    ]
    for job in low:
        cluster.wait_for_state(job, "RUNNING")
        wait_for(partial(has_text, tmp_path / job, " 0,1\n"), "the job's first line")
    high = cluster.submit("sleep 1", f"--gres=gpu:a100:{GPUS}", "--partition=high", "--nodelist=alpha")
    wait_for(lambda: cluster.show(low[0])["Restarts"] == "1", "preemption")
    wait_for(lambda: cluster.show(high)["JobState"] == "COMPLETED", "the end of the preempting job")
    cluster.wait_for_state(low[0], "RUNNING")
    cluster.kill_node("beta")
    wait_for(lambda: cluster.show(low[1])["Restarts"] == "1", "the requeue")
    assert cluster.jobs()[low[1]] == "PENDING"
    cluster.start_node("beta")
    cluster.wait_for_state(low[1], "RUNNING")


def test_nothing_is_left_of_a_cluster_whose_owner_is_killed(cluster: Cluster, tmp_path: Path) -> None:
    owner = """
import os, sys, time
from pathlib import Path
from tests.slurm.cluster import running_cluster, wait_for
folder = Path(sys.argv[1])
with running_cluster(folder) as cluster:
    cluster.submit(f"setsid sleep 987 & echo $! > {folder}/job.pid; sleep 600")
    wait_for((folder / "job.pid").exists, "the job")
    print(cluster.daemons.pid, flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen([sys.executable, "-c", owner, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    daemons = psutil.Process(int(process.stdout.readline()))
    left_behind = daemons.children(recursive=True)
    names = {child.name() for child in left_behind}
    assert {"munged", "slurmctld", "slurmd", "sleep"} <= names
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(one.is_running() for one in [daemons, *left_behind]), "the end of the daemons", 30)
    assert set(cluster.jobs()) == set()
