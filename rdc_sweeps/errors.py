"""Errors shown to the user: each says what is wrong, where, and what to do about it."""

import errno
import re
from collections.abc import Iterator, Sequence


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


INFRASTRUCTURE_CODES = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EREMOTEIO, errno.ENXIO, errno.ENODEV,
        errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.ESHUTDOWN, errno.ENOLCK,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS,
    }
)  # fmt: skip
"""Error codes of full, broken and unreachable disks, and of machines that have run out of memory or files."""

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")


def infrastructure_cause(error: BaseException) -> Exception | None:
    """The error of a disk, machine or network behind an error, anywhere in its chain of causes; None if there is none.

    Libraries report such errors as their own: on a full disk, `torch.save` raises a RuntimeError about a position.
    """
    return next((one for one in _chain(error) if isinstance(one, Exception) and _is_infrastructure(one)), None)


def _is_infrastructure(error: Exception) -> bool:
    if isinstance(error, OSError) and error.errno is None:
        # NumPy gives no code.
        return _SHORT_WRITE.search(str(error)) is not None
    return isinstance(error, InfrastructureError) or (
        isinstance(error, OSError) and error.errno in INFRASTRUCTURE_CODES
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
