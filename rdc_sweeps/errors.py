"""Errors shown to the user: each says what is wrong, where, and what to do about it."""

from collections.abc import Sequence


class RdcError(Exception):
    """Base class of all errors that the user can fix; `exit_code` is the exit code of the command line."""

    exit_code = 1


class UsageError(RdcError):
    """A name, flag or setting does not exist or is invalid."""

    exit_code = 2


class SpecError(RdcError):
    """One or more problems in specs, reported together."""

    exit_code = 3

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


class DataError(RdcError):
    """A data set is missing, damaged, or does not have the layout its spec names."""


class WeightsError(RdcError):
    """Pretrained weights or a SAM checkpoint are missing, damaged, or belong to another architecture."""


class CheckpointError(RdcError):
    """A training checkpoint cannot be resumed from."""


class DamagedError(RdcError):
    """A file of a run or study is not what was written; it concerns that run or study alone."""


class EventLogError(RdcError):
    """An event log is damaged, or lacks events that the checkpoint requires."""


class DivergenceError(RdcError):
    """A loss or gradient is no longer finite."""


class RunLockedError(RdcError):
    """Another process is working on the run."""


class LostRunError(RunLockedError):
    """Another worker took over the run while this one was unreachable; this one must not write to it any more."""


class InfrastructureError(RdcError):
    """A node, device or network failed, not the run itself, so the run can be retried."""


class UnavailableError(RdcError):
    """An executor or tracker cannot be reached."""

    exit_code = 5
