"""The reference of the settings, from their Pydantic model."""

from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from rdc_sweeps.settings import PREFIX, Settings
from website.schemas import type_text
from website.tables import table


def settings_page() -> str:
    """The page as Markdown: name, variable, type, default and meaning of each setting."""
    properties = Settings.model_json_schema()["properties"]
    rows = [
        (
            f"`{name}`",
            f"`{PREFIX}{name.upper()}`",
            type_text(properties[name], lambda definition: definition),
            _default(field.default),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    return (
        "# Settings\n\nGenerated from the code; `rdc-sweep config` shows the values that are in effect. Where they are "
        "set, and which of several places counts, is told in [running](../running.md#settings).\n\n"
        + table(("in `rdc-sweep.toml`", "in the environment", "type", "default", "meaning"), rows)
    )


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "a folder of the user"
    return "" if value in (None, {}) else f"`{value}`" if isinstance(value, str | Path) else f"`{value!r}`"
