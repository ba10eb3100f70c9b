"""Reads YAML files of the configuration strictly: what is not understood is refused, with place and next step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from ingest.errors import BadInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)


def read_strictly(file: Path, shape: type[M]) -> M:
    """The content of a YAML file as `shape`.

    Raises BadInput, whose item is the file with the place in it: unreadable, no YAML, a key given twice, a key that
    `shape` does not know or misses, a value that is none.
    """
    try:
        return shape.model_validate(_load(file))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        more = f" ({error.error_count() - 1} more like it.)" if error.error_count() > 1 else ""
        raise refused(file, _place(first), "bad_entry", _cause(first) + more) from None


def refused(file: Path, place: str, code: str, cause: str, step: str = "Correct the file and start again.") -> BadInput:
    """The error for something at a place in a file."""
    return BadInput(f"{file}: {place}" if place else str(file), code, cause, step)


def _load(file: Path) -> Any:
    import yaml

    try:
        return _unique_keys()(file.read_text("utf-8")).get_single_data()
    except RecursionError:
        raise refused(file, "", "bad_yaml", "The file is nested too deeply.") from None
    except OSError as error:
        raise refused(file, "", "unreadable", f"The file cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:  # as dates of no calendar
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or (str(error) if type(error) is ValueError else type(error).__name__)
        cause = f"The file is no valid YAML ({problem})."
        raise refused(file, place, "bad_yaml", cause) from error


def _unique_keys() -> Any:
    """A loader that refuses a key given twice in one mapping, of which YAML readers otherwise take the last."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[Any] = set()
            for key, _ in node.value:
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is given twice", key.start_mark
                    )
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    return Loader


def _place(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"])


def _cause(error: ErrorDetails) -> str:
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return "This key is not known."
        case "missing" | "missing_argument" | "missing_keyword_only_argument":
            return "This key is missing."
        case _:
            return error["msg"].rstrip(".") + "."
