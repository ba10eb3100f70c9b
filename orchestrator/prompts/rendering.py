"""The gate between context and model: a versioned template, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest.errors import BadInput
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from orchestrator.context import Context
    from orchestrator.prompts.definition import Prompt

Environment = Literal["dev", "staging", "prod"]
ENVIRONMENTS: Final[tuple[Environment, ...]] = ("dev", "staging", "prod")  # in the order of promotion

_SEAL: Final = Seal("orchestrator.prompts.rendering.render")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptLimits:
    """How large a prompt and what is filled in may be. Characters, not tokens: they hold for every model."""

    max_file_characters: int = 20_000  # about 5,000 tokens, more than instructions need
    max_text_characters: int = 20_000  # of a text variable, and of one item of a list
    max_list_items: int = 200
    max_steps: int = 500_000  # that a template may take with the longest lists: at most about half a second
    max_rendered_characters: int = 1_000_000  # of one turn; the budget of the evidence is the context's


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a prompt asks of whichever model it is sent to."""

    max_output_tokens: int
    effort: Literal["low", "medium", "high"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted(Sealed):
    """A prompt that may be sent. Made by `render` alone."""

    name: str
    version: str  # semantic
    environment: str
    content_hash: str  # sha256 of the prompt's files; the registry keeps what it stands for, for ever
    locale: str
    contract: str  # name of the output contract
    schema: Mapping[str, Any]  # JSON schema of that contract
    system: str = field(repr=False)
    user: str = field(repr=False)
    settings: ModelSettings
    context: Context = field(repr=False)
    contract_version: str = ""  # of the contract's schema
    cacheable: int = 0  # characters at the start of `system` that are the same for every asker
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)


def render(
    prompt: Prompt,
    environment: Environment,
    context: Context,
    *,
    locale: str | None = None,
    limits: PromptLimits | None = None,
    **variables: object,
) -> Prompted:
    """Fill a prompt in. The only maker of a Prompted.

    The system turn holds the template, the workflow's variables and, last, the rules that mark data, whose nonce is of
    this run: all before them can be cached. Evidence, history and question stand in the user turn as they are: they
    are values to the template engine, and never parsed. Raises BadInput for a variable that is missing, unknown or of
    another type, and for a turn that becomes too long.
    """
    from orchestrator.prompts.templates import fill

    limits = limits or PromptLimits()
    values = _values(prompt, variables, limits)
    system_file, _ = prompt.template("system", locale)
    user_file, used_locale = prompt.template("user", locale)
    system = fill(prompt.files[system_file], values, limits.max_rendered_characters).strip() + "\n\n"
    slots = {
        "evidence": context.evidence,
        "question": context.question.text,
        "history": context.history.text if context.history else "",
    }
    user = fill(prompt.files[user_file], values | slots, limits.max_rendered_characters)
    return Prompted(
        name=prompt.name,
        version=prompt.version,
        environment=environment,
        content_hash=prompt.content_hash,
        locale=used_locale,
        contract=prompt.contract,
        schema=prompt.schema,
        system=system + context.rules,
        user=user,
        settings=prompt.settings,
        context=context,
        contract_version=prompt.contract_version,
        cacheable=len(system),
        seal=_SEAL,
    )


def _values(prompt: Prompt, given: Mapping[str, object], limits: PromptLimits) -> dict[str, object]:
    """What the variables stand for, every one of them checked."""
    from orchestrator.prompts.definition import misfit

    declared = {variable.name: variable for variable in prompt.variables}
    for name in given.keys() - declared.keys():
        raise _bad_variable(prompt, name, "is not declared by the prompt")
    values: dict[str, object] = {}
    for name, variable in declared.items():
        value = given.get(name, variable.default)
        if value is None:
            raise _bad_variable(prompt, name, "is missing")
        if why := misfit(variable.type, value) or _too_large(value, limits):
            raise _bad_variable(prompt, name, why)
        values[name] = value
    return values


def _too_large(value: object, limits: PromptLimits) -> str | None:
    items = value if isinstance(value, list | tuple) else (value,)
    if len(items) > limits.max_list_items:
        return f"has more than {limits.max_list_items} items"
    if any(isinstance(item, str) and len(item) > limits.max_text_characters for item in items):
        return f"is longer than {limits.max_text_characters} characters"
    return None


def _bad_variable(prompt: Prompt, name: str, why: str) -> BadInput:
    step = f"See `groundwire prompts show {prompt.name} --version {prompt.version}` for what it takes."
    return BadInput(f"{prompt.label} {name}", "prompt_variable", f"The variable {name} {why}.", step)
