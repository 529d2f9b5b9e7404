"""The errors a user may meet: each says what is wrong, where, and what to do about it."""

from collections.abc import Sequence


class RdcError(Exception):
    """Base of every error that the user can fix; `exit_code` is the exit code of the command line for it."""

    exit_code = 1


class UsageError(RdcError):
    """A name, flag or setting that does not exist or does not fit."""

    exit_code = 2


class SpecError(RdcError):
    """One or more problems of specs, reported together."""

    exit_code = 3

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class DataError(RdcError):
    """A data set that is missing, damaged or not of the layout that its spec names."""


class WeightsError(RdcError):
    """Pretrained weights or a SAM checkpoint that is missing, damaged or of another architecture."""


class CheckpointError(RdcError):
    """A training checkpoint that cannot be resumed from."""


class EventLogError(RdcError):
    """An event log that is damaged, or lacks what the checkpoint says must be there."""


class DivergenceError(RdcError):
    """A loss or gradient that stopped being finite."""


class RunLockedError(RdcError):
    """A run that another process is working on."""


class LostRunError(RunLockedError):
    """A run that another worker took over while this one was out of touch; nothing of it may be written any more."""


class InfrastructureError(RdcError):
    """A failure of a node, a device or a network, not of the run: the same run may be tried again."""


class UnavailableError(RdcError):
    """An executor or tracker that cannot be reached."""

    exit_code = 5
