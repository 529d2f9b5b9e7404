"""What is where in the directory of a run.

runs/<id>/spec.yaml          the resolved spec
          origin.json        the table and row that asked for it first
          environment.json   packages, device, host, commit, threads
          events.jsonl       the event log: a line per step and per epoch
          panels/            pictures of predictions after each epoch
          checkpoints/       the last checkpoint, replaced after every epoch and when the run is stopped
          status.json        heartbeat: owner, time, progress, device, Slurm job
          attempts.jsonl     a line whenever a worker started or ended in order
          stopped.json       it was cancelled or pruned
          failure.json       why it failed, with the traceback
          result.json        written last: a run without it is not done
          lock               locked by the owner's process
          writers/           unfinished files of the owner, in a folder of its own
          log.txt            what its workers printed
          wandb/             what W&B and the uploader keep
"""

from pathlib import Path


class RunPaths:
    """The paths of a run; nothing is created before it is needed.

    Lazy: building these paths for 10,000 runs dominates planning.

    Attributes:
        root: The runs folder.
        id: The run's id.
        folder: The run's directory.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root, self.id = root, run_id
        self.folder = root / run_id

    @property
    def spec(self) -> Path:
        """The resolved spec."""
        return self.folder / "spec.yaml"

    @property
    def environment(self) -> Path:
        """What the run was made with."""
        return self.folder / "environment.json"

    @property
    def events(self) -> Path:
        """The event log (see `runs.events`)."""
        return self.folder / "events.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def lock(self) -> Path:
        """The file that the owner's process has locked."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What the workers printed."""
        return self.folder / "log.txt"

    @property
    def wandb(self) -> Path:
        """What W&B and the uploader keep of the run."""
        return self.folder / "wandb"
