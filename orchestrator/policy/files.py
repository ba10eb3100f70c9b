"""The files of a policy set, and the statements within: what has a place can be refused at its place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ingest.errors import BadInput

SHIPPED: Final = Path(__file__).parent / "policies"
RETENTION: Final = "retention.yaml"
CASES: Final = "tests.yaml"  # no part of the set: another test is no other policy
MAX_FILE_BYTES: Final = 1_000_000  # ten thousand policies or so
MAX_FILES: Final = 200
# Signs of one statement that can nest. Cedar's parser descends with each and has no limit of its own: from some 600 on
# (cedarpy 4.12, 8 MB of stack) it ends the process. What nests deeper than 100 cedarpy refuses in any case.
MAX_NESTING: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One policy, or one declaration of a schema, as it stands in its file."""

    file: str
    line: int  # on which it begins, from 1
    text: str  # with the `;` at its end


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFiles:
    """The texts of one policy set."""

    folder: Path
    policies: MappingProxyType[str, str]  # by name, sorted
    schema: tuple[str, str]  # name and text
    retention: str
    version: str  # sha256 over names and texts, sorted by name

    @property
    def texts(self) -> dict[str, str]:
        """All that the version stands for, by name."""
        return dict(sorted({**self.policies, self.schema[0]: self.schema[1], RETENTION: self.retention}.items()))

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every policy, file by file."""
        return tuple(one for name, text in self.policies.items() for one in statements(name, text))


def read_files(folder: Path) -> PolicyFiles:
    """Read the set in a folder: `*.cedar`, one `*.cedarschema`, and `retention.yaml`. Raises BadInput."""
    policies = {path.name: _read(path) for path in _named(folder, "*.cedar")}
    schemas = _named(folder, "*.cedarschema")
    if not policies or len(schemas) != 1 or not (folder / RETENTION).is_file():
        cause = f"A policy set is a folder with *.cedar files, one *.cedarschema and {RETENTION}."
        raise BadInput(str(folder), "no_policy_set", cause, f"Begin with a copy of {SHIPPED}.")
    schema = schemas[0].name, _read(schemas[0])
    retention = _read(folder / RETENTION)
    for name, text in (*policies.items(), schema):
        _check_nesting(folder, name, text)
    return PolicyFiles(
        folder=folder,
        policies=MappingProxyType(policies),
        schema=schema,
        retention=retention,
        version=_version({**policies, schema[0]: schema[1], RETENTION: retention}),
    )


# A string, a comment, the end of a statement, or the end of a line. A quote that never ends runs to the end.
_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|//[^\n]*|;', re.DOTALL)
_BLANK: Final = re.compile(r"(?:\s|//[^\n]*)*")


def statements(file: str, text: str) -> Iterator[Statement]:
    """The statements of a text, which a `;` ends that stands in no string and no comment; what is left at the end too.

    Comments and space before one belong to none.
    """
    begin = 0
    for end in [*(found.end() for found in _TOKEN.finditer(text) if found[0] == ";"), len(text)]:
        blank = _BLANK.match(text, begin, end)
        start = blank.end() if blank else begin
        if start < end:
            yield Statement(file=file, line=text.count("\n", 0, start) + 1, text=text[start:end])
        begin = end


_MAY_NEST: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\Z)|//[^\n]*|(?P<sign>[(\[{<+*.!-]|&&|\|\||\bif\b)', re.DOTALL)


def _check_nesting(folder: Path, file: str, text: str) -> None:
    for one in statements(file, text):
        signs = sum(found["sign"] is not None for found in _MAY_NEST.finditer(one.text))
        if signs > MAX_NESTING:
            cause = (
                f"The statement that begins here has {signs} brackets and operators; {MAX_NESTING} are read at most."
            )
            raise BadInput(f"{folder / file}:{one.line}", "policy_too_large", cause, "Split it into several.")


def _named(folder: Path, pattern: str) -> list[Path]:
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(found) > MAX_FILES:
        cause = f"The folder holds {len(found)} files {pattern}, and {MAX_FILES} are read at most."
        raise BadInput(str(folder), "too_many_files", cause, "Put several policies into one file.")
    return found


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            cause = f"The file is larger than {MAX_FILE_BYTES} bytes."
            raise BadInput(str(path), "file_too_large", cause, "Split it.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        step = "Make it readable, as UTF-8."
        raise BadInput(str(path), "unreadable_policy", "The file cannot be read.", step) from error


def _version(texts: dict[str, str]) -> str:
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
