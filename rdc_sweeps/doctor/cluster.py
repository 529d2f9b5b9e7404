"""Checks of Slurm from this host, and of the node profile against its partitions."""

import re
import shutil
from collections.abc import Iterator

from rdc_sweeps.dispatch.executors import EXECUTORS, SlurmExecutor
from rdc_sweeps.dispatch.slurm.nodes import node_profile
from rdc_sweeps.doctor.findings import Finding, Level, output
from rdc_sweeps.errors import UsageError
from rdc_sweeps.processes.environment import user_name
from rdc_sweeps.settings import Settings


def examine_slurm(settings: Settings) -> Iterator[Finding]:
    """Report Slurm's version, its partitions and GPUs, the user's limits and the node profile."""
    wanted = EXECUTORS[settings.executor] is SlurmExecutor
    if shutil.which("sinfo") is None:
        remedy = "use a login node, or --executor local" if wanted else None
        yield Finding("Slurm", "problem" if wanted else "ok", "not available on this host", remedy)
        return
    lines = output(["sinfo", "--noheader", "--format=%P|%G|%D|%l|%a"])
    if lines is None:
        yield Finding(
            "Slurm",
            "problem" if wanted else "warning",
            "sinfo fails or does not respond",
            "ask the cluster's administrators",
        )
        return
    config = output(["scontrol", "show", "config"]) or ""
    array = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE)
    largest = f", arrays of up to {int(array.group(1)) - 1} runs" if array else ""
    yield Finding("Slurm", "ok", (output(["sinfo", "--version"]) or "unknown version") + largest)
    partitions: dict[str, list[str]] = {}
    for line in lines.splitlines():
        name, gres, nodes, limit, available = (*line.split("|"), "", "", "", "")[:5]
        partitions.setdefault(name.strip().rstrip("*"), []).append(gres)
        default = " (default)" if name.strip().endswith("*") else ""
        yield Finding(
            "partition",
            "ok" if available.strip() == "up" else "warning",
            f"{name.strip().rstrip('*')}{default}: {nodes} nodes, {gres}, time limit {limit}, {available.strip()}",
        )
    yield _limits()
    yield _profile(settings, partitions, "problem" if wanted else "warning")


def _limits() -> Finding:
    form = "Account,Partition,QOS,MaxJobs,MaxSubmit,GrpTRES"
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "association", f"user={user_name()}", f"format={form}"]
    lines = (output(command) or "").splitlines()
    if not lines:
        return Finding("limits", "ok", "unknown: Slurm lists no account for this user")
    associations = []
    for line in lines:
        named = zip(form.split(","), line.split("|"), strict=False)
        associations.append(" ".join(f"{name} {value}" for name, value in named if value))
    return Finding("limits", "ok", "; ".join(associations))


def _profile(settings: Settings, partitions: dict[str, list[str]], level: Level) -> Finding:
    topic = f"node {settings.node}"
    try:
        profile = node_profile(settings.node, settings.nodes)
    except UsageError as error:
        return Finding(topic, level, str(error), "correct [nodes] in rdc-sweep.toml")
    if profile.partition is not None and profile.partition not in partitions:
        return Finding(
            topic, level, f"no partition {profile.partition}", f"change it. Available: {', '.join(partitions)}"
        )
    offers = partitions[profile.partition] if profile.partition else [g for some in partitions.values() for g in some]
    gpu = None if profile.gpu in {None, "any"} else profile.gpu
    if gpu is not None and not any(f"gpu:{gpu}" in gres for gres in offers):
        found = ", ".join(sorted(set(offers))) or "nothing"
        return Finding(topic, level, f"no GPU {gpu} in the partition", f"change it. Available: {found}")
    return Finding(topic, "ok", f"partition {profile.partition or 'default'}, GPU {profile.gpu or 'none'}")
