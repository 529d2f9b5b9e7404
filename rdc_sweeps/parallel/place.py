"""How a process joins the others of its training."""

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
    """A process's place in a group on one machine.

    Attributes:
        rank: Its number, from 0.
        size: How many processes there are.
        folder: A local folder of their own, where they find each other.
        on_gpus: Each has the GPU of its number, among those that CUDA_VISIBLE_DEVICES shows.
        threads: CPU threads of each.
    """

    rank: int
    size: int
    folder: Path
    on_gpus: bool
    threads: int

    @contextmanager
    def joined(self, check: Callable[[], None] = lambda: None) -> Iterator[None]:
        """While inside, this process is one of the group; waits until all are there.

        Args:
            check: Raises if another process is known to be in trouble.
        """
        # All on one machine: no other network is needed, nor should be open to others.
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
