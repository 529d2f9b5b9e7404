"""Writes a report as a folder, which is replaced as a whole or not at all."""

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from rdc_sweeps.errors import UsageError
from rdc_sweeps.web.site import INDEX, Site

MANIFEST = ".rdc-sweep-report.json"
"""The names of the files of a report; a folder with it is one."""

REMEDY = "choose another folder with --output"


def write_site(site: Site, folder: Path) -> Path:
    """Write all files of a site; an earlier report in the folder is replaced.

    Returns:
        The first page.

    Raises:
        UsageError: The folder holds something else, or cannot be written.
    """
    place = folder.resolve()
    check_folder(place, folder)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place.parent}: cannot be created: {error.strerror}; {REMEDY}") from error
    staging = place.parent / f".{place.name}.{os.getpid()}.{secrets.token_hex(4)}"
    try:
        _write(site, staging)
        _replace(place, staging)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}; {REMEDY}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder / INDEX


def check_folder(place: Path, name: Path) -> None:
    """Check that nothing but an earlier report would be replaced.

    Raises:
        UsageError: The folder holds something else.
    """
    if not place.exists():
        return
    if not place.is_dir():
        raise UsageError(f"{name}: is not a folder; {REMEDY}")
    found = {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir() or path.is_symlink()}
    if not found:
        return
    if MANIFEST not in found:
        raise UsageError(f"{name}: holds other files than a report, which would be lost; empty it, or {REMEDY}")
    try:
        ours = {MANIFEST, *json.loads((place / MANIFEST).read_bytes())["files"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{place / MANIFEST}: is damaged ({error}); remove the folder, or {REMEDY}") from error
    if others := sorted(found - ours):
        more = f" and {len(others) - 1} others" if len(others) > 1 else ""
        raise UsageError(f"{name}: {others[0]}{more} would be lost, which is not of a report; move it, or {REMEDY}")


def _write(site: Site, staging: Path) -> None:
    manifest = json.dumps({"files": sorted(site.files)}).encode()
    contents: Mapping[str, object] = {**site.files, MANIFEST: lambda: manifest}
    for address, make in contents.items():
        path = staging / address
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make())  # type: ignore[operator]


def _replace(place: Path, staging: Path) -> None:
    """Put the new folder in the place of the old one."""
    former = staging.with_name(f"{staging.name}.former")
    try:
        place.rename(former)
    except FileNotFoundError:
        staging.rename(place)
        return
    try:
        staging.rename(place)
    except BaseException:
        former.rename(place)
        raise
    shutil.rmtree(former, ignore_errors=True)
