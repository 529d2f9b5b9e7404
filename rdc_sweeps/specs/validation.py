"""Validation of documents as specs; every problem is reported with its line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rdc_sweeps.errors import SpecError
from rdc_sweeps.specs.document import Document, dotted
from rdc_sweeps.specs.fields import Location, locate, tags, variants

Model = TypeVar("Model", bound=BaseModel)

WRONG_KINDS = {
    "model_type": "must be a mapping of fields",
    "model_attributes_type": "must be a mapping of fields",
    "dict_type": "must be a mapping of fields",
    "tuple_type": "must be a list",
    "string_type": "must be text (quoted, if it is a number)",
}
"""Messages that replace pydantic's, by its error type."""


def build(model: type[Model], document: Document) -> Model:
    """Validate a document as a spec.

    Raises:
        SpecError: Lists every problem with its line, the field, the value found and what is valid.
    """
    problems = list(document.problems)
    try:
        spec = model.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(problems + _problems(model, document, error)) from error
    problems += [
        f"{document.place(location)}: {dotted(location)}: {problem}"
        for location, problem in _misread(document.data, spec.model_dump(mode="json"), ())
    ]
    if problems:
        raise SpecError(problems)
    return spec


def _misread(written: Any, read: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Values that pydantic read as another type: `epochs: true` as 1, the text `1_0` as 10, the text `yes` as true."""
    if isinstance(written, bool) and not isinstance(read, bool):
        yield location, "must not be true or false"
    elif isinstance(written, str) and isinstance(read, bool):
        yield location, f"must be true or false, found the text {_short(written)}"
    elif isinstance(written, str) and isinstance(read, int | float):
        yield location, f"must be a number, found the text {_short(written)}"
    elif isinstance(written, dict):
        for key, value in written.items():
            yield from _misread(value, read[key], (*location, key))
    elif isinstance(written, list):
        for index, value in enumerate(written):
            yield from _misread(value, read[index], (*location, index))


def _problems(model: type[BaseModel], document: Document, error: ValidationError) -> list[str]:
    messages: dict[Location, list[str]] = {}
    found: dict[Location, str] = {}
    for problem in error.errors(include_url=False):
        location, owner = locate(model, problem["loc"])
        context = problem.get("ctx", {})
        if problem["type"] in {"union_tag_invalid", "union_tag_not_found"}:
            location = (*location, context["discriminator"].strip("'"))
        messages.setdefault(location, []).append(_message(problem, context, owner))
        if _shows_value(problem):
            found[location] = f", found {_short(problem['input'])}"
    return [
        ": ".join(part for part in (document.place(location), dotted(location), _joined(texts)) if part)
        + found.get(location, "")
        for location, texts in messages.items()
    ]


def _message(problem: ErrorDetails, context: Mapping[str, Any], owner: type[BaseModel] | None) -> str:
    kind, text = problem["type"], problem["msg"]
    if kind == "extra_forbidden" and owner is not None:
        return f"there is no such field{suggestion(str(problem['loc'][-1]), owner.model_fields)}"
    if kind == "missing":
        return "is missing"
    if kind == "union_tag_not_found":
        field = owner.model_fields.get(str(problem["loc"][-1])) if owner else None
        known = [tag for variant in variants(field.annotation if field else None) for tag in tags(variant)]
        return f"is missing. Available: {', '.join(known)}"
    if kind == "union_tag_invalid":
        known = [name.strip("' ") for name in context["expected_tags"].split(",")]
        return f"there is no {context['tag']!r}{suggestion(str(context['tag']), known)}"
    if kind == "literal_error":
        close = get_close_matches(
            str(problem["input"]), context["expected"].replace("'", "").replace(" or ", ", ").split(", "), n=1
        )
        return f"must be {context['expected']}" + (f" (perhaps {close[0]!r})" if close else "")
    if kind in WRONG_KINDS:
        return WRONG_KINDS[kind]
    text = text.removeprefix("Value error, ")
    text = re.sub("^(Input|String|List|Tuple) should ", "must ", text)
    return re.sub("( after validation, not|, unable to) .*", "", text)


def _shows_value(problem: ErrorDetails) -> bool:
    return problem["type"] not in {
        "extra_forbidden", "missing", "union_tag_not_found", "union_tag_invalid", "value_error",
    }  # fmt: skip


def _joined(texts: Iterable[str]) -> str:
    """What each member of a union requires, as one sentence."""
    first, *others = dict.fromkeys(texts)
    return " or ".join([first, *(text.removeprefix("must be ") for text in others)])


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def suggestion(name: str, known: Iterable[str]) -> str:
    """The closest match and the valid names, as the end of an error message."""
    names = list(known)
    close = get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} Available: {', '.join(names) or 'none'}"
