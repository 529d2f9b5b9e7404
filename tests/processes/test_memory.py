"""Memory that is freed, in a process of its own."""

import platform
import subprocess
import sys
from textwrap import dedent

import pytest

MIB = 2**20
CODE = """
    import ctypes, sys
    import psutil
    from rdc_sweeps.processes.memory import keep_freed_memory

    if sys.argv[1] == "kept":
        keep_freed_memory()
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    place = library.malloc(256 * 2**20)
    ctypes.memset(place, 1, 256 * 2**20)
    before = psutil.Process().memory_info().rss
    library.free(place)
    again = library.malloc(256 * 2**20)
    print(before - psutil.Process().memory_info().rss)
"""


def given_back(how: str) -> int:
    """Bytes that the system has back when 256 MiB are freed and asked for again, before they are written to."""
    command = [sys.executable, "-c", dedent(CODE), how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_stays_with_the_process_only_if_told_to() -> None:
    assert given_back("returned") > 200 * MIB
    assert given_back("kept") < 16 * MIB
