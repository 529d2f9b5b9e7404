"""The reference of the Python API; mkdocstrings puts in what the docstrings say."""

MODULES = {
    "rdc_sweeps.api": "What the commands do, [from Python](../python.md). `import rdc_sweeps` has all of these names.",
    "rdc_sweeps.contrast": "The contrast, for a [training loop of your own](../contrast.md).",
    "rdc_sweeps.extend": "Everything that an [extension](../extending.md) imports.",
    "rdc_sweeps.errors": "Errors that a user can fix. The text of each says what is wrong, where, and what to do.",
}


def api_page() -> str:
    """The page as Markdown, with a directive of mkdocstrings for each public module."""
    parts = ["# Python API\n\nGenerated from the docstrings.\n"]
    parts += [f"## {name}\n\n{lead}\n\n::: {name}\n" for name, lead in MODULES.items()]
    return "\n".join(parts)
