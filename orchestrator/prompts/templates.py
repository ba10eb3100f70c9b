"""The template engine, kept on a short leash: the one module that knows Jinja.

A template may print texts and numbers, ask `if`, and go through a list of the workflow's with `for`. That is all: it
cannot call anything, reach an attribute (but `loop.index`, `loop.first`, `loop.last`), include another file, assign,
or compute. What it may do is a list of syntax nodes, so whatever Jinja can do besides is refused before it is
compiled; the sandbox of Jinja is a second lock behind that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ingest.errors import BadInput
from orchestrator.prompts.rendering import PromptLimits

Kind = Literal[
    "text",
    "number",
    "flag",
    "list",
    "slot",  # filled from the context
    "foreign",  # words of others, where they may not stand
    "loop",
]
Code = Literal["template_syntax", "template_forbidden", "undeclared_variable", "wrong_type"]
FILTERS: Final[Mapping[str, tuple[tuple[Kind, ...], Kind]]] = {  # what each takes, and what it gives
    "join": (("list",), "text"),
    "length": (("list", "text"), "number"),
    "lower": (("text",), "text"),
    "upper": (("text",), "text"),
    "trim": (("text",), "text"),
}
LOOP: Final[Mapping[str, Kind]] = {"index": "number", "first": "flag", "last": "flag"}
_DEEPEST: Final = 20  # levels of `if`, `for` and brackets; Python compiles up to some 90
_ORDERED: Final = frozenset({"lt", "lteq", "gt", "gteq"})


class _Sandbox(ImmutableSandboxedEnvironment):
    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:  # noqa: ARG002 - Jinja's signature
        return isinstance(obj, LoopContext) and attr in LOOP

    def is_safe_callable(self, obj: object) -> bool:  # noqa: ARG002 - Jinja's signature
        return False


def _sandbox() -> _Sandbox:
    plain_text = False  # a prompt is no HTML: evidence must reach the model as it is
    sandbox = _Sandbox(undefined=StrictUndefined, autoescape=plain_text, trim_blocks=True, lstrip_blocks=True)
    sandbox.globals.clear()
    sandbox.tests.clear()
    sandbox.filters = {name: sandbox.filters[name] for name in FILTERS}
    return sandbox


_SANDBOX: Final = _sandbox()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """What a template may not do, or cannot."""

    line: int  # from 1
    code: Code
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was found in a template."""

    mistakes: tuple[Mistake, ...]
    used: Mapping[str, int]  # name to how often it is printed or asked for


def read_template(source: str, kinds: Mapping[str, Kind], limits: PromptLimits) -> Reading:
    """Check a template against the names that it may use. Nothing of it is run."""
    try:
        tree = _SANDBOX.parse(source)
    except TemplateSyntaxError as error:
        return _unreadable(error.lineno, f"It cannot be read: {error.message}.")
    except (TemplateError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return _unreadable(1, f"It cannot be read ({type(error).__name__}).")
    reader = _Reader(limits=limits)
    reader.body(tree.body, kinds, 0)
    return Reading(mistakes=tuple(reader.mistakes), used=reader.used)


def fill(source: str, values: Mapping[str, object], most: int) -> str:
    """A checked template with its values, at most `most` characters; raises BadInput when it becomes longer."""
    parts, length = [], 0
    for part in _compiled(source).generate(values):
        length += len(part)
        if length > most:
            cause = f"The filled-in prompt has more than {most} characters."
            raise BadInput("prompt", "prompt_too_long", cause, "Give fewer or shorter values.")
        parts.append(part)
    return "".join(parts)


@lru_cache(maxsize=256)
def _compiled(source: str) -> Template:
    return _SANDBOX.from_string(source)


def _unreadable(line: int, reason: str) -> Reading:
    return Reading(mistakes=(Mistake(line=line, code="template_syntax", reason=reason),), used={})


class _Wrong(Exception):
    """An expression that is no use; one is told for each place."""

    def __init__(self, node: nodes.Node, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.mistake = Mistake(line=node.lineno or 1, code=code, reason=reason)


Scope = Mapping[str, Kind]


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Walks the syntax tree. `scope` holds the names in reach, `depth` counts levels.

    Every part is a step, and one in a loop as many as the longest list has items: so the time that any values can
    make a template take is known before it is filled in.
    """

    limits: PromptLimits
    rounds: int = 1  # in which the part at hand may be met
    steps: int = 0  # so far
    mistakes: list[Mistake] = field(default_factory=list)
    used: dict[str, int] = field(default_factory=dict)

    def body(self, parts: Sequence[nodes.Node], scope: Scope, depth: int) -> None:
        """Check what stands in the template, or within one of its blocks."""
        for part in parts:
            try:
                self._part(part, scope, depth)
            except _Wrong as wrong:
                self.mistakes.append(wrong.mistake)

    def _step(self, node: nodes.Node, depth: int) -> None:
        self.steps += self.rounds
        if self.steps > self.limits.max_steps:
            raise _forbidden(node, "It may take too long: fewer loops, or less in them.")
        if depth > _DEEPEST:
            raise _forbidden(node, "It is nested too deeply.")

    def _part(self, part: nodes.Node, scope: Scope, depth: int) -> None:
        self._step(part, depth)
        match part:
            case nodes.TemplateData():
                pass
            case nodes.Output(nodes=printed):
                self.body(printed, scope, depth)
            case nodes.Expr():
                self._printed(part, scope, depth)
            case nodes.If(test=test, body=body, elif_=others, else_=rest):
                self._kind(test, scope, depth)
                self.body(body, scope, depth + 1)
                self.body(others, scope, depth)
                self.body(rest, scope, depth + 1)
            case nodes.For(target=target, iter=source, body=body, else_=rest):
                self._loop_head(part, source, scope, depth)
                inner: Scope = {**scope, "loop": "loop"}
                inner = {**inner, target.name: "text"} if isinstance(target, nodes.Name) else inner
                self.rounds *= self.limits.max_list_items
                self.body(body, inner, depth + 1)
                self.rounds //= self.limits.max_list_items
                self.body(rest, scope, depth + 1)
            case _:
                raise _forbidden(part)

    def _loop_head(self, loop: nodes.For, source: nodes.Node, scope: Scope, depth: int) -> None:
        self.steps += self.rounds * self.limits.max_list_items
        name = loop.target.name if isinstance(loop.target, nodes.Name) else None
        if loop.recursive or loop.test is not None:
            raise _forbidden(loop, "A loop goes plainly through a list: no `recursive`, no `if` in its head.")
        if name is None or name in scope or name == "loop" or name.startswith("_"):
            raise _forbidden(loop, "The variable of a loop needs one name that nothing else has.")
        reason = "A loop goes through a variable of the type list."
        if not isinstance(source, nodes.Name):
            raise _forbidden(loop, reason)
        if self._kind(source, scope, depth) != "list":
            raise _Wrong(loop, "wrong_type", reason)

    def _printed(self, node: nodes.Expr, scope: Scope, depth: int) -> None:
        kind = self._kind(node, scope, depth)
        if kind == "slot" and self.rounds > 1:
            raise _forbidden(node, "What the context fills in stands outside of loops.")
        if kind in {"list", "flag"}:
            reason = f"A {kind} cannot be printed: use `join` for a list and `if` for a flag."
            raise _Wrong(node, "wrong_type", reason)

    def _kind(self, node: nodes.Node, scope: Scope, depth: int) -> Kind:
        """What an expression gives; raises _Wrong."""
        self._step(node, depth)
        match node:
            case nodes.Const(value=bool()):
                return "flag"
            case nodes.Const(value=str()):
                return "text"
            case nodes.Const(value=int() | float()):
                return "number"
            case nodes.Name(name=name, ctx="load"):
                return self._named(node, name, scope)
            case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr) if attr in LOOP and "loop" in scope:
                return LOOP[attr]
            case nodes.Filter(node=nodes.Expr() as inner):
                return self._filtered(node, inner, scope, depth)
            case nodes.Not(node=inner):
                self._kind(inner, scope, depth + 1)
                return "flag"
            case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
                self._kind(left, scope, depth + 1)
                self._kind(right, scope, depth + 1)
                return "flag"
            case nodes.CondExpr(test=test, expr1=yes, expr2=nodes.Expr() as no):
                self._kind(test, scope, depth + 1)
                return self._same(node, yes, no, scope, depth)
            case nodes.Compare(expr=left, ops=[nodes.Operand(op=op, expr=right)]):
                return self._compared(node, left, op, right, scope, depth)
        raise _forbidden(node)

    def _named(self, node: nodes.Node, name: str, scope: Scope) -> Kind:
        self.used[name] = self.used.get(name, 0) + 1
        match scope.get(name):
            case None:
                raise _Wrong(node, "undeclared_variable", f"The variable {name} is not declared in prompt.yaml.")
            case "loop":
                raise _forbidden(node, f"Of `loop` only {', '.join(LOOP)} are known.")
            case "foreign":
                reason = f"The system turn holds no word of a document, an asker or a model, so not {name}."
                raise _forbidden(node, reason)
            case kind:
                return kind

    def _filtered(self, node: nodes.Filter, inner: nodes.Expr, scope: Scope, depth: int) -> Kind:
        if node.name not in FILTERS:
            raise _forbidden(node, f"There is no filter {node.name}; there are {', '.join(FILTERS)}.")
        if self.rounds > 1:
            raise _forbidden(node, "Filters stand outside of loops, where each is applied once.")
        takes, gives = FILTERS[node.name]
        plain = all(isinstance(arg, nodes.Const) and isinstance(arg.value, str) for arg in node.args)
        if not plain or len(node.args) > (node.name == "join") or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise _forbidden(node, f"The filter {node.name} takes nothing else; `join` takes one text.")
        if self._kind(inner, scope, depth + 1) not in takes:
            raise _Wrong(node, "wrong_type", f"The filter {node.name} takes a {' or a '.join(takes)}.")
        return gives

    def _same(self, node: nodes.Node, one: nodes.Expr, other: nodes.Expr, scope: Scope, depth: int) -> Kind:
        kind = self._kind(one, scope, depth + 1)
        if kind != self._kind(other, scope, depth + 1) or kind == "slot":
            raise _Wrong(node, "wrong_type", "Both sides must be of one type, and no part of the context.")
        return kind

    def _compared(
        self, node: nodes.Node, left: nodes.Expr, op: str, right: nodes.Expr, scope: Scope, depth: int
    ) -> Kind:
        if op in {"in", "notin"}:
            kinds = self._kind(left, scope, depth + 1), self._kind(right, scope, depth + 1)
            if kinds not in {("text", "list"), ("text", "text")}:
                raise _Wrong(node, "wrong_type", "`in` looks for a text in a list or in a text.")
            return "flag"
        kind = self._same(node, left, right, scope, depth)
        if kind == "list" or (op in _ORDERED and kind != "number"):
            raise _Wrong(node, "wrong_type", "Numbers have an order; texts and flags are equal or not.")
        return "flag"


def _forbidden(node: nodes.Node, reason: str | None = None) -> _Wrong:
    return _Wrong(node, "template_forbidden", reason or f"`{type(node).__name__.lower()}` is not for prompts.")
