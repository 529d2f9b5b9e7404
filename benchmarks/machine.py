"""The machine that figures depend on."""

from pathlib import Path


def processor_name() -> str:
    """As the system names it; `platform.processor` is empty on most systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
