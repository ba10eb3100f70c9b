"""What a prompt is: a few text files with a version, and the hash that stands for them for ever.

prompt.yaml         name, version, title, owner, locale, contract, model settings, variables, changelog
system.md.j2        how to answer; the same for every asker
user.md.j2          where the evidence, the history and the question go
system.de.md.j2     either of them in another locale, if wanted
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import unified_diff
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from ingest.errors import BadInput
from orchestrator.prompts.rendering import ModelSettings, PromptLimits

if TYPE_CHECKING:
    from orchestrator.egress.contracts import Contract

HEADER: Final = "prompt.yaml"
TURNS: Final = ("system", "user")
SLOTS: Final = ("evidence", "question", "history")  # filled from the context, in the user turn only
VariableType = Literal["text", "number", "list", "flag"]
Contracts = Mapping[str, "Contract"]  # by name
SchemaCheck = Callable[[Mapping[str, Any]], Sequence[str]]  # what a provider cannot take of a schema, as sentences

_NAME: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_VERSION: Final = r"^(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})$"  # semver.org, without pre-releases
_LOCALE: Final = r"^[a-z]{2,3}(-[A-Z]{2})?$"
_TEMPLATE: Final = re.compile(r"(system|user)(?:\.([a-z]{2,3}(?:-[A-Z]{2})?))?\.md\.j2")
_RESERVED: Final = frozenset(
    {*SLOTS, "loop", "self", "caller", "varargs", "kwargs", "prompt", "environment", "context", "locale", "limits"}
)


class BadPrompt(BadInput):
    """A prompt that would fail in a run, refused before there is one. `item` is its place: prompt, file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a prompt."""

    place: str  # file, with line or field: system.md.j2:12
    code: str
    reason: str  # what is wrong, as a sentence
    next_step: str

    def error(self, prompt: str) -> BadPrompt:
        """As the error that refuses `prompt`."""
        return BadPrompt(f"{prompt}/{self.place}", self.code, self.reason, self.next_step)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Variable(_Strict):
    """What a workflow fills in besides the context."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    type: VariableType
    about: str = Field(min_length=1)  # what it is for, for people
    default: StrictBool | StrictInt | StrictFloat | StrictStr | tuple[StrictStr, ...] | None = None
    untrusted: bool = False  # words of a person or a model: kept out of the system turn

    @property
    def required(self) -> bool:
        """Whether a run must give it."""
        return self.default is None


class Change(_Strict):
    """One entry of the changelog."""

    version: str = Field(pattern=_VERSION)
    date: date
    text: str = Field(min_length=1)


class _Model(_Strict):
    max_output_tokens: int = Field(ge=1, le=128_000)
    effort: Literal["low", "medium", "high"] | None = None


class _Header(_Strict):
    name: str = Field(pattern=_NAME, max_length=60)
    version: str = Field(pattern=_VERSION)
    title: str = Field(min_length=1, max_length=200)
    owner: str = Field(min_length=1, max_length=100)
    locale: str = Field(pattern=_LOCALE)
    contract: str = Field(min_length=1)
    model: _Model
    variables: tuple[Variable, ...] = ()
    changelog: tuple[Change, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt as its files say. Made by `read_prompt`; whether it would run is said by `checking.problems`."""

    name: str
    version: str  # MAJOR.MINOR.PATCH
    title: str
    owner: str
    locale: str  # of the templates that name none
    contract: str
    contract_version: str
    schema: Mapping[str, Any] = field(repr=False)  # JSON schema of the contract
    settings: ModelSettings
    variables: tuple[Variable, ...]
    changelog: tuple[Change, ...]
    files: Mapping[str, str] = field(repr=False)  # name to text
    content_hash: str

    @property
    def label(self) -> str:
        """Name and version, as errors and people call it."""
        return f"{self.name}/{self.version}"

    @property
    def order(self) -> tuple[int, ...]:
        """Sorts versions."""
        return version_order(self.version)

    def template(self, turn: str, locale: str | None) -> tuple[str, str]:
        """(file, locale) of a turn's template: of the locale, else of its language, else the default."""
        for wanted in (locale, locale.split("-")[0]) if locale else ():
            file = f"{turn}.{wanted}.md.j2"
            if file in self.files:
                return file, wanted
        return f"{turn}.md.j2", self.locale


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """File to unified diff, for the files of a prompt that are not the same in both."""
    found = {}
    for file in sorted(old.keys() | new.keys()):
        if (before := old.get(file, "")) != (after := new.get(file, "")):
            lines = unified_diff(before.splitlines(), after.splitlines(), file, file, lineterm="")
            found[file] = "\n".join(lines)
    return found


def version_order(version: str) -> tuple[int, ...]:
    """Sorts versions as numbers: 1.10.0 comes after 1.9.0."""
    return tuple(int(part) for part in version.split("."))


def content_hash(files: Mapping[str, str]) -> str:
    """sha256 over the files, sorted by name, each name and text with its length before it."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name].encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def read_prompt(
    files: Mapping[str, str], contracts: Contracts, *, where: str = "prompt", limits: PromptLimits | None = None
) -> Prompt:
    """The prompt that the files are; raises BadPrompt with `where`, the file and the field of what is wrong."""
    header = _header(files, where)
    label = f"{header.name}/{header.version}"
    for problem in _mistakes(header, files, contracts, limits or PromptLimits()):
        raise problem.error(label)
    contract = contracts[header.contract]
    return Prompt(
        name=header.name,
        version=header.version,
        title=header.title,
        owner=header.owner,
        locale=header.locale,
        contract=header.contract,
        contract_version=contract.version,
        schema=contract.schema,
        settings=ModelSettings(max_output_tokens=header.model.max_output_tokens, effort=header.model.effort),
        variables=header.variables,
        changelog=header.changelog,
        files=MappingProxyType(dict(files)),
        content_hash=content_hash(files),
    )


def _header(files: Mapping[str, str], where: str) -> _Header:
    step = "See the prompts that ship with Groundwire for an example."
    if HEADER not in files:
        raise BadPrompt(f"{where}/{HEADER}", "no_header", "The prompt has no prompt.yaml.", step)
    try:
        return _Header.model_validate(yaml.safe_load(files[HEADER]))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadPrompt(f"{where}/{HEADER}:{line}", "bad_yaml", f"It is no YAML: {error.problem}.", step) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadPrompt(f"{where}/{HEADER}", "bad_header", f"{place}: {first['msg']}.", step) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadPrompt(f"{where}/{HEADER}", "bad_yaml", f"It is no YAML ({type(error).__name__}).", step) from error


def _mistakes(
    header: _Header, files: Mapping[str, str], contracts: Contracts, limits: PromptLimits
) -> Iterator[Problem]:
    """What contradicts itself in the header, or among the files."""
    for file, text in files.items():
        if bad := _bad_file(file, text, limits):
            yield _problem(file, *bad)
    for turn in TURNS:
        if f"{turn}.md.j2" not in files:
            yield _problem(f"{turn}.md.j2", "no_template", "The file is missing.", "Write it.")
    if header.contract not in contracts:
        step = f"Name one of {', '.join(sorted(contracts))}."
        yield _problem(HEADER, "unknown_contract", f"There is no output contract {header.contract!r}.", step)
    if all(change.version != header.version for change in header.changelog):
        reason = f"The changelog says nothing of {header.version}."
        yield _problem(HEADER, "no_changelog", reason, "Say what this version changes.")
    names = [variable.name for variable in header.variables]
    for variable in header.variables:
        if why := _bad_variable(variable, names):
            yield _problem(HEADER, "bad_variable", f"{variable.name}: {why}", "Correct the variable.")


def _bad_file(file: str, text: str, limits: PromptLimits) -> tuple[str, str, str] | None:
    if file != HEADER and not _TEMPLATE.fullmatch(file):
        step = "A prompt holds prompt.yaml, system.md.j2, user.md.j2, and these as system.LOCALE.md.j2."
        return "unknown_file", "The file is no part of a prompt.", step
    if len(text) > limits.max_file_characters:
        reason = f"The file has more than {limits.max_file_characters} characters."
        return "oversized", reason, "Shorten it; long knowledge belongs into documents."
    return None


def _bad_variable(variable: Variable, names: Sequence[str]) -> str | None:
    if variable.name in _RESERVED:
        return "the name means something else in a prompt."
    if names.count(variable.name) > 1:
        return "it is declared twice."
    if not variable.required and (why := misfit(variable.type, variable.default)):
        return f"its default {why}."
    return None


def misfit(kind: VariableType, value: object) -> str | None:
    """Why a value is not of a type; None when it is."""
    match kind, value:
        case "flag", bool():
            return None
        case "number", int() | float() if not isinstance(value, bool) and abs(value) < 1e15:  # no nan, no infinity
            return None
        case "text", str():
            return None
        case "list", list() | tuple() if all(isinstance(item, str) for item in value):
            return None
    wanted = {"flag": "true or false", "number": "a number", "text": "a text", "list": "a list of texts"}[kind]
    return f"is not {wanted}"


def _problem(place: str, code: str, reason: str, next_step: str) -> Problem:
    return Problem(place=place, code=code, reason=reason, next_step=next_step)
