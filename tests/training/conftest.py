from pathlib import Path

import pytest
import torch

from rdc_sweeps.settings import Settings


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    # Bit-exact comparisons need the same order of sums; small runs are fastest on one thread anyway.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of this test session: its own cache, nothing of the user's."""
    return Settings(cache_root=Path(tmp_path_factory.mktemp("cache")), device="cpu", wandb="disabled", threads=1)
