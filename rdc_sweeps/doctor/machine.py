"""Checks of this host: system, cores, memory, GPUs, and whether PyTorch can use them."""

import os
import platform
import socket
from collections.abc import Iterator

import psutil

from rdc_sweeps.doctor.findings import Finding, output

GIB = 2**30
LITTLE_MEMORY = 4 * GIB


def examine_machine() -> Iterator[Finding]:
    """Report the system, cores, memory and GPUs."""
    yield Finding("system", "ok", f"{platform.platform()} on {socket.gethostname()}")
    usable, cores = len(os.sched_getaffinity(0)), os.cpu_count()
    yield Finding("cores", "ok", f"{usable} usable of {cores}")
    memory = psutil.virtual_memory()
    little = memory.available < LITTLE_MEMORY
    yield Finding(
        "memory",
        "warning" if little else "ok",
        f"{memory.available / GIB:.1f} GiB available of {memory.total / GIB:.1f}",
        "a small run takes about 2 GiB: close other programs, or lower --max-parallel" if little else None,
    )
    yield from _gpus()


def _gpus() -> Iterator[Finding]:
    fields = "name,memory.total,driver_version,mig.mode.current"
    listed = output(["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"])
    gpus = listed.splitlines() if listed else []
    for line in gpus:
        name, memory, driver, mig = (*(part.strip() for part in line.split(",")), "", "", "")[:4]
        parts = f"MIG {mig.lower()}" if mig in {"Enabled", "Disabled"} else "no MIG"
        yield Finding("GPU", "ok", f"{name}, {memory}, driver {driver}, {parts}")
    instances = [line.strip() for line in (output(["nvidia-smi", "-L"]) or "").splitlines() if "MIG" in line]
    if instances:
        kinds = sorted({" ".join(line.split()[:2]) for line in instances})
        yield Finding("MIG", "ok", f"{len(instances)} instances: {', '.join(kinds)}")
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("PyTorch", "problem", f"cannot be imported: {' '.join(str(error).split())}", "reinstall torch")
        return
    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "a build without CUDA"
    if gpus and not seen:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
        remedy = (
            "CUDA_VISIBLE_DEVICES is empty: unset it"
            if hidden
            else "install a build of torch for a CUDA version that the driver supports"
        )
        yield Finding("PyTorch", "problem", f"sees none of the {len(gpus)} GPUs ({build})", remedy)
    elif seen:
        yield Finding("PyTorch", "ok", f"sees {seen} GPUs ({build})")
    else:
        yield Finding("PyTorch", "ok", f"no GPU here ({build}): runs train on the CPU")
