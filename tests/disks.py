"""Small disks, real ones: memory file systems that can be filled, freed and enlarged."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A mounted disk.

    Attributes:
        path: Where it is mounted.
    """

    path: Path

    def fill(self) -> None:
        """Use up all space; `free` gives it back."""
        with (self.path / "ballast").open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(2**12)):
                pass

    def free(self) -> None:
        """Give the space back."""
        (self.path / "ballast").unlink(missing_ok=True)

    def resize(self, size: str) -> None:
        """Make it larger or smaller."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], check=True)


@contextmanager
def mounted(path: Path, size: str) -> Iterator[Disk]:
    """A disk of this size; the test is skipped where mounting is not permitted."""
    path.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs mount")
    if done.returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
