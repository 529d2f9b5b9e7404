"""How a process joins the group that trains a run."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from rdc_sweeps.parallel.world import World, joined


@dataclass(frozen=True)
class Place:
    """A process's place in a group of processes on one machine.

    Attributes:
        rank: Number of the process, from 0.
        size: Number of processes.
        folder: Local folder that only this group uses, for the rendezvous.
        on_gpus: Whether each process uses the GPU with the index of its rank, among those in CUDA_VISIBLE_DEVICES.
        threads: CPU threads of each process.
    """

    rank: int
    size: int
    folder: Path
    on_gpus: bool
    threads: int

    @contextmanager
    def joined(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Be a member of the group while inside; waits until all members have joined.

        Args:
            check: Raises if another process is known to have failed.
        """
        # All processes are on one machine, so gloo needs no port that other machines can reach.
        loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
        if loopback is not None:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        if self.on_gpus:
            torch.cuda.set_device(self.rank)
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if self.on_gpus else "gloo",
            init_method=(self.folder / "ranks").absolute().as_uri(),
            rank=self.rank,
            world_size=self.size,
        )
        try:
            with joined(World(self.rank, self.size, check)):
                yield
        finally:
            dist.destroy_process_group()
            torch.set_num_threads(threads)
