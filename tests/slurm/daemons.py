"""Runs a Slurm of one machine in a folder until its standard input ends: `python daemons.py FOLDER PORT PORT...`.

Whoever starts it holds the other end of a pipe. However that process ends, also by kill -9, the pipe closes, and this
one ends the daemons and everything that jobs left behind: as their subreaper it inherits every process that Slurm sets
free. Nothing outside the folder is written, and /etc/slurm is not read.

A line `start NODE` on standard input starts that node's daemon anew. A line `end` is like the end of the input, should
another process have inherited the pipe.
"""

import ctypes
import os
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

NODES = ("alpha", "beta")
CPUS = 4
GPUS = 2
"""Of each node; these and the memory are made up."""

PR_SET_CHILD_SUBREAPER = 36

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# cred_expire is also how long a requeued job waits before it may start again (default: two minutes).
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
ReturnToService=2
SlurmdTimeout=60
KillWait=60
MinJobAge=600
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
PartitionName=low Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=15
PartitionName=high Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""

NODE = """
NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} \
CPUs={cpus} RealMemory=64000 Gres=gpu:a100:{gpus} State=UNKNOWN
"""


def configure(folder: Path, ports: Sequence[int]) -> None:
    """Write slurm.conf, gres.conf, the key, and a file for each GPU."""
    host = socket.gethostname().partition(".")[0]
    text = CONFIGURATION.format(host=host, folder=folder, controller_port=ports[0])
    for name, port in zip(NODES, ports[1:], strict=True):
        text += NODE.format(name=name, host=host, port=port, cpus=CPUS, gpus=GPUS)
        (folder / f"spool.{name}").mkdir()
    for index in range(GPUS):
        # It must be a device, but nobody opens it.
        (folder / f"gpu{index}").symlink_to("/dev/null")
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(f"Name=gpu Type=a100 File={folder}/gpu[0-{GPUS - 1}]\n")
    (folder / "state").mkdir()
    (folder / "munge").mkdir()
    key = folder / "munge" / "key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))


def start(folder: Path, name: str, *command: str) -> None:
    """Start a daemon in the foreground of this process; what it prints goes to a log of its own."""
    with (folder / f"{name}.out").open("ab") as output:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def start_node(folder: Path, name: str) -> None:
    """Start the daemon of a node."""
    start(folder, f"slurmd.{name}", "slurmd", "-D", "-N", name, "-f", str(folder / "slurm.conf"))


def start_all(folder: Path) -> None:
    """Start the authentication, the controller and the nodes."""
    munge = folder / "munge"
    paths = [f"--{file}-file={munge / file}" for file in ("key", "log", "pid", "seed")]
    start(folder, "munged", "munged", "--foreground", "--force", "--num-threads=10", f"--socket={munge}/socket", *paths)
    _wait_for((munge / "socket").exists, "munged")
    start(folder, "slurmctld", "slurmctld", "-D", "-i", "-f", str(folder / "slurm.conf"))
    for name in NODES:
        start_node(folder, name)
    _wait_for(lambda: _idle() == len(NODES), "the nodes")


def _idle() -> int:
    listed = subprocess.run(["sinfo", "-h", "-N", "-p", "low", "-o", "%t"], capture_output=True, text=True)
    return listed.stdout.split().count("idle")


def _wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"{what} did not come up within {seconds:.0f} s")
        time.sleep(0.1)


def serve(folder: Path) -> None:
    """Take orders and bury dead children until standard input ends."""
    while True:
        ready, _, _ = select.select([0], [], [], 0.2)
        if ready:
            # Orders are short lines, which a pipe delivers whole.
            orders = os.read(0, 4096).decode()
            if not orders or "end" in orders.splitlines():
                return
            for order in orders.splitlines():
                start_node(folder, order.removeprefix("start "))
        _bury()


def _bury() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def end_all() -> None:
    """Kill every descendant; none can have got away from a subreaper."""
    while children := psutil.Process().children(recursive=True):
        for child in children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
        _bury()
        time.sleep(0.05)


def main() -> None:
    """Say `ready` on standard output once jobs can be submitted."""
    folder, ports = Path(sys.argv[1]), [int(port) for port in sys.argv[2:]]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        configure(folder, ports)
        start_all(folder)
        print("ready", flush=True)
        serve(folder)
    finally:
        end_all()


if __name__ == "__main__":
    main()
