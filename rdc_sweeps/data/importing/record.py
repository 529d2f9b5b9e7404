"""The record of an import in the root it writes: what is being imported, and whether it is finished."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rdc_sweeps
from rdc_sweeps.errors import DataError
from rdc_sweeps.files import read_file, write_json

RECORD = "import.json"
"""In the root: what was imported. Written last."""

UNFINISHED = "import-unfinished"
"""A folder in the root while an import is not finished. It has the record of what was begun, the lock of the process
that imports, and files that are being written."""


def check_finished(root: Path) -> None:
    """Refuse a root whose import was begun and not finished; a root without any import is none of our business.

    Raises:
        DataError: Images are missing from the root.
    """
    if (root / UNFINISHED).is_dir():
        raise DataError(f"{root}: import unfinished; run the same `rdc-sweep data import` command again, it continues")


def begun_import(root: Path) -> dict[str, Any] | None:
    """The description of the source that was imported into a root, or begun to be; None if there is none.

    Raises:
        DataError: The record is damaged.
    """
    for path in (root / UNFINISHED / RECORD, root / RECORD):
        try:
            record = json.loads(read_file(path))
            return dict(record["source"])
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: damaged ({error}); remove {root}, and import again") from error
    return None


def write_record(folder: Path, description: Mapping[str, Any]) -> None:
    """Write the record of an import into the root, or into its folder `UNFINISHED`."""
    write_json(folder / RECORD, {"version": rdc_sweeps.__version__, "source": dict(description)})
