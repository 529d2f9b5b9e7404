"""Sweeps of multi-task partially supervised dense prediction, and Region-aware Distribution Contrast.

The names of the Python API are imported on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdc_sweeps.api import (
        Table,
        check_data,
        claims,
        compare,
        figures,
        import_data,
        load_table,
        pack_data,
        plan,
        probe,
        report,
        run_table,
        tune,
        write_report,
    )

__all__ = [
    "Table",
    "__version__",
    "check_data",
    "claims",
    "compare",
    "figures",
    "import_data",
    "load_table",
    "pack_data",
    "plan",
    "probe",
    "report",
    "run_table",
    "tune",
    "write_report",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rdc_sweeps import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
