"""Layout of a run's directory.

runs/<id>/spec.yaml          the resolved spec
          origin.json        the table and row that first requested it
          environment.json   packages with versions and files, device, host, commit, threads
          data.json          what data it is trained on: fingerprints and numbers of images
          events.jsonl       the event log: a line per step and per epoch
          panels/            images of predictions after each epoch
          checkpoints/       the last checkpoint, replaced after every epoch and when the run is stopped; weights that
                             `training.keep_checkpoints` asks for
          images/            scores-N.npz: the metrics of each test image after the last epoch and each that a
                             selection rule took (all epochs, while it trains); predictions.npz: predictions for
                             some of them after the last epoch, if `training.keep_predictions` asks for them
          status.json        heartbeat: owner, time, progress, device, Slurm job
          attempts.jsonl     a line for each start and each orderly end of a worker
          stopped.json       why it was cancelled or pruned
          failure.json       why it failed, with the traceback
          result.json        written last: a run without it is not done
          damaged/           records that were not what was written, moved aside
          lock               locked by the owner's process
          writers/           temporary files of the owner
          log.txt            output of its workers
          wandb/             files of W&B and the uploader
"""

from pathlib import Path


class RunPaths:
    """The paths of a run's files.

    They are properties because building all of them for 10,000 runs would dominate planning.

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
        """The software and hardware that trained the run."""
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
    def images(self) -> Path:
        """The folder of what is kept of the test images (see `training.scores` and `training.predictions`)."""
        return self.folder / "images"

    @property
    def lock(self) -> Path:
        """The file locked by the owner's process."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """The output of the workers."""
        return self.folder / "log.txt"

    @property
    def wandb(self) -> Path:
        """The files of W&B and the uploader."""
        return self.folder / "wandb"
