"""No gate can be skipped: each makes the only type that the next one takes, and nobody else can make it."""

from __future__ import annotations

import ast
import copy
import importlib
import pickle
import re
import subprocess
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from retrieval.sealed import Seal, Sealed

ROOT = Path(__file__).parents[3]
MODULES = [
    path for name in ("ingest", "retrieval", "orchestrator", "api", "evals") for path in (ROOT / name).rglob("*.py")
]
# Type: its module, and the function there that makes it, in the order of a question's way.
GATES = {
    "ReadScope": ("retrieval.access", "read_scope"),
    "Admitted": ("orchestrator.ingress", "admit"),
    "Sanitised": ("retrieval.sanitising", "sanitise"),
    "Redacted": ("orchestrator.personal_data.redaction", "redact"),
    "Context": ("orchestrator.context", "assemble"),
    "Prompted": ("orchestrator.prompts.rendering", "render"),
    "Produced": ("orchestrator.gateway.outcomes", "produced"),
    "Parsed": ("orchestrator.egress.gate", "read_output"),
    "Verified": ("orchestrator.citations", "verify"),
    "Supported": ("orchestrator.support.gate", "check_support"),
    "Validated": ("orchestrator.egress.gate", "validate"),
    "Approved": ("orchestrator.routing", "route"),
}
# Types whose instances still hold their seal, so that `replace` makes others from them: take a name away once its type
# is a `retrieval.sealed.Sealed`.
PENDING: frozenset[str] = frozenset()
PARAMETERS = [
    pytest.param(name, marks=pytest.mark.xfail(reason="holds its seal")) if name in PENDING else name for name in GATES
]


def gate(name: str) -> tuple[type[Any], Any]:
    """The type, and the seal that its module keeps."""
    module = importlib.import_module(GATES[name][0])
    return getattr(module, name), module._PARSED if name == "Parsed" else module._SEAL


def made(name: str, seal: object) -> Any:
    """An instance without content, by whoever holds the seal."""
    kind, _ = gate(name)
    return kind(**{one.name: None for one in fields(kind) if one.init and one.name != "seal"}, seal=seal)


@pytest.mark.parametrize("name", GATES)
def test_a_gates_type_is_made_with_its_seal_alone(name: str) -> None:
    """Without the seal, with another gate's or with one of the same name, it is not made; the error names the gate."""
    kind, seal = gate(name)
    assert type(made(name, seal)) is kind
    others = [object(), None, True, Seal(".".join(GATES[name])), *(gate(other)[1] for other in GATES if other != name)]
    for other in others:
        with pytest.raises(TypeError, match=rf"{name} is made by {re.escape('.'.join(GATES[name]))} only"):
            made(name, other)
    with pytest.raises(TypeError, match="seal"):
        kind(**{one.name: None for one in fields(kind) if one.init and one.name != "seal"})


@pytest.mark.parametrize("name", PARAMETERS)
def test_nobody_makes_another_from_one(name: str) -> None:
    """Who holds a value cannot alter, copy, pickle or subclass it, nor take the seal from it."""
    kind, seal = gate(name)
    held = made(name, seal)
    assert issubclass(kind, Sealed)
    first = next(one.name for one in fields(kind))
    with pytest.raises(ValueError, match="seal"):
        replace(held, **{first: 1})
    with pytest.raises(AttributeError):
        setattr(held, first, 1)
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="sealed"):
            attempt(held)
    with pytest.raises(TypeError, match="sealed"):
        type("Mine", (kind,), {})
    assert not hasattr(held, "seal")
    assert not any(getattr(held, one) is seal for one in kind.__slots__)


def test_a_seal_is_not_copied() -> None:
    """A copy would open the gate as well."""
    seal = Seal("somewhere.gate")
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="Seal"):
            attempt(seal)


# What the code does


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")


@cache
def nodes() -> list[tuple[str, ast.AST]]:
    """Every piece of code with the module that it stands in."""
    trees = ((name_of(path), ast.parse(path.read_text("utf-8"), str(path))) for path in MODULES)
    return [(module, node) for module, tree in trees for node in ast.walk(tree)]


@cache
def calls() -> list[tuple[str, str, ast.Call]]:
    """Module, what is called, and the call."""
    return [(module, ast.unparse(node.func), node) for module, node in nodes() if isinstance(node, ast.Call)]


@pytest.mark.parametrize("name", GATES)
def test_a_gates_type_is_made_in_its_own_module_alone(name: str) -> None:
    """No other module so much as calls it."""
    assert {module for module, called, _ in calls() if called.split(".")[-1] == name} == {GATES[name][0]}


def test_no_module_goes_round_a_constructor() -> None:
    """Nothing makes an empty instance or puts content into a frozen one, but for values of its own as they are made."""
    tricks = {"__new__", "__setattr__", "__setstate__", "__reduce__", "__reduce_ex__"}
    for module, called, node in calls():
        if called.split(".")[-1] in tricks:
            assert called == "object.__setattr__", module
            assert ast.unparse(node.args[0]) == "self", module
            assert module not in {where for where, _ in GATES.values()}, module


def test_no_module_takes_a_seal_of_another() -> None:
    """Seals are private names: not imported, not read as an attribute, and passed under the name `seal` at home."""
    homes = {where for where, _ in GATES.values()}
    for module, node in nodes():
        if isinstance(node, ast.ImportFrom):
            assert not {"_SEAL", "_PARSED"} & {alias.name for alias in node.names}, module
        assert not (isinstance(node, ast.Attribute) and node.attr in ("_SEAL", "_PARSED")), module
    sealing = {module for module, _, node in calls() if any(word.arg == "seal" for word in node.keywords)}
    assert sealing <= homes
    with_seals = {GATES[name][0] for name in GATES.keys() - PENDING}
    assert {module for module, called, _ in calls() if called.split(".")[-1] == "Seal"} == with_seals


# What the type checker says

SNIPPETS = """
from dataclasses import replace
from orchestrator.context import Context
from orchestrator.egress.contracts import OutputContract
from orchestrator.egress.gate import Invalid, Parsed, Validated, read_output, validate
from orchestrator.gateway.outcomes import NotProduced, Produced
from orchestrator.ingress import Admitted
from orchestrator.judging import Judged
from orchestrator.policy.decisions import Approval
from orchestrator.prompts.rendering import Prompted
from orchestrator.routing import Approved, Escalate, route
from orchestrator.workflows import Workflow
from retrieval.sealed import Seal


def in_order(produced: Produced, judged: Judged, flow: Workflow, approval: Approval) -> Approved | Escalate | Invalid:
    parsed = read_output(produced)
    if isinstance(parsed, Invalid):
        return parsed
    validated = validate(parsed, {})
    if isinstance(validated, Invalid):
        return validated
    return route(validated, judged, flow, "low", approval)


def skipped(
    parsed: Parsed, produced: Produced, invalid: Invalid, output: OutputContract, prompted: Prompted, none: NotProduced,
    judged: Judged, flow: Workflow, approval: Approval, either: Validated | Invalid,
) -> None:
    route(produced, judged, flow, "low", approval)  # arg-type
    route(parsed, judged, flow, "low", approval)  # arg-type
    route(invalid, judged, flow, "low", approval)  # arg-type
    route(either, judged, flow, "low", approval)  # arg-type
    route(output, judged, flow, "low", approval)  # arg-type
    validate(produced, {})  # arg-type
    validate(output, {})  # arg-type
    read_output(prompted)  # arg-type
    read_output(none)  # arg-type


def forged(
    validated: Validated, produced: Produced, approved: Approved, prompted: Prompted, admitted: Admitted,
    context: Context, output: OutputContract,
) -> None:
    Validated(produced=produced, output=output, claims=(), support=(), dropped=())  # call-arg
    Validated(produced=produced, output=output, claims=(), support=(), dropped=(), seal=object())  # arg-type
    Validated(produced=produced, output=output, claims=(), support=(), dropped=(), seal=validated)  # arg-type
    replace(validated, claims=())  # call-arg
    replace(produced, text="")  # call-arg
    replace(approved, outcome="act")  # call-arg
    replace(prompted, system="")  # call-arg
    replace(admitted, run_id="")  # call-arg
    replace(context, evidence="")  # PENDING
    validated.seal  # attr-defined
    validated.claims = ()  # misc
"""


def test_the_type_checker_refuses_what_goes_round_a_gate(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """mypy finds each line that skips a gate or forges its type, and nothing in the way that keeps to them."""
    path = tmp_path / "snippets.py"
    snippets = SNIPPETS.replace("# PENDING", "" if "Context" in PENDING else "# call-arg")
    path.write_text(snippets, "utf-8")
    cache = getattr(request.config, "cache", None)  # kept between runs, unless pytest was told to keep nothing
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "--no-error-summary"]
    command += ["--follow-imports", "silent", "--disable-error-code", "no-untyped-def"]
    command += ["--cache-dir", str(cache.mkdir("mypy_gates") if cache else tmp_path / "cache"), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    found = {(int(line), code) for line, code in re.findall(r"snippets\.py:(\d+): error: .*\[([\w-]+)\]", done.stdout)}
    expected = {
        (number, marked[1])
        for number, line in enumerate(snippets.splitlines(), 1)
        if (marked := re.search(r"  # ([a-z-]+)$", line))
    }
    assert found == expected, done.stdout + done.stderr
