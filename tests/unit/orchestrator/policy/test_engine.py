"""Decisions by Cedar policies."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.policy.decisions import Action, DataFacts, Policy, RouteFacts
from orchestrator.policy.engine import LONGEST_ERROR, CedarPolicy, PolicyConfig, load_policy
from orchestrator.policy.files import SHIPPED
from orchestrator.workflows import ASK
from retrieval.access import Principal

SHIPPED_POLICY = load_policy()
ROLES = ("operator", "auditor", "curator", "reviewer", "privacy-officer", "prompt-owner", "prompt-editor", "nobody")
principals = st.builds(
    Principal,
    subject=st.sampled_from(["ann", "bob", "a/b", ""]),
    tenant=st.sampled_from(["default", "other", "default/a"]),
    roles=st.frozensets(st.sampled_from(ROLES), max_size=3),
    clearance=st.sampled_from(Classification),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped set."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "policies"))


def load(folder: Path) -> CedarPolicy:
    return load_policy(PolicyConfig(folder=folder))


def add(folder: Path, text: str, name: str = "zebra.cedar") -> Path:
    """A further policy file."""
    (folder / name).write_text(text, "utf-8")
    return folder


def policy(id_: str, body: str) -> str:
    return f'@id("{id_}")\n@owner("me")\n@description("a test")\n{body}\n'


# Decisions


def test_it_is_the_policy_that_the_tiers_ask() -> None:
    """The engine is a `Policy`, and everyone may ask a question of a home without configuration."""
    decides: Policy = SHIPPED_POLICY
    decision = decides.may_start(Principal(subject="ann"), ASK)
    assert decision.allowed
    assert decision.policies == ("start-ask",)
    assert decision.version == decides.version == SHIPPED_POLICY.files.version
    assert decision.reason == (
        "Allowed, since everyone may ask questions, for an answer holds only what the asker may read (start-ask)."
    )


@given(
    st.builds(
        RouteFacts,
        name=st.just("r"),
        provider=st.just("p"),
        model=st.just("m"),
        region=st.sampled_from(["local", "eu", "us"]),
        in_process=st.booleans(),
        retains_data=st.booleans(),
    ),
    st.builds(
        DataFacts,
        classification=st.sampled_from(Classification),
        regions=st.frozensets(st.sampled_from(["eu", "us"])),
        personal_data=st.frozensets(st.sampled_from(["EMAIL_ADDRESS"])),
    ),
)
def test_which_model_may_see_what(route: RouteFacts, data: DataFacts) -> None:
    """For all routes and data the shipped policies say what this rule says in Python; a denial names its policies."""
    kept = route.retains_data and (data.classification >= Classification.confidential or bool(data.personal_data))
    remote = data.classification <= Classification.confidential and data.regions <= {route.region} and not kept
    decision = SHIPPED_POLICY.may_route(ASK, route, data)
    assert decision.allowed == (route.in_process or remote)
    assert decision.policies
    assert not decision.errors


@given(principals, st.sampled_from(["default", "other"]), st.sampled_from(["ann", "bob", "b"]))
def test_records_stay_in_their_tenant(asker: Principal, tenant: str, subject: str) -> None:
    """Nobody does anything with the record of another tenant, whatever their roles; one's own runs one always sees."""
    actions: tuple[Action, ...] = ("see_run", "see_audit", "recall", "erase")
    for action in actions:
        decision = SHIPPED_POLICY.may(asker, action, {"tenant": tenant, "subject": subject})
        assert decision.allowed <= (asker.tenant == tenant)
    seen = SHIPPED_POLICY.may(asker, "see_run", {"tenant": tenant, "subject": subject}).allowed
    own = (asker.tenant, asker.subject) == (tenant, subject)
    assert seen == (asker.tenant == tenant and (own or "auditor" in asker.roles))


@given(st.lists(principals, min_size=1, max_size=8))
def test_a_kept_decision_is_the_decision(askers: list[Principal]) -> None:
    """What is kept from before, in a cache of two, never answers another question: a fresh engine says the same."""
    small = load_policy(PolicyConfig(cached_decisions=2))
    for asker in [*askers, *askers]:
        for action in ("promote_prompt", "rollback_prompt"):
            resource = {"name": "p", "environment": "prod"}
            assert small.may(asker, action, resource) == SHIPPED_POLICY.may(asker, action, resource)


def test_a_name_cannot_be_built_from_another(folder: Path) -> None:
    """A tenant with a stroke in its name does not become the person of another tenant that a policy names."""
    rule = policy("bob", 'permit (principal == Person::"a/b/c", action == Action::"recall", resource);')
    decides = load(add(folder, rule))
    record = {"tenant": "x", "subject": "y"}
    assert decides.may(Principal(tenant="a", subject="b/c"), "recall", record).allowed
    assert not decides.may(Principal(tenant="a/b", subject="c"), "recall", record).allowed


def test_an_error_denies(folder: Path) -> None:
    """A forbid that fails while it decides, which Cedar skips, does not let through what another policy permits."""
    rule = 'forbid (principal, action == Action::"go_on", resource)'
    rule += " when { resource.cost_cents * 4611686018427387904 < 0 };"  # 2 ** 62
    decides = load(add(folder, policy("overflow", rule)))
    assert not decides.approval(ASK, "low", {"acts": False, "cost_cents": 1}).needed
    failed = decides.approval(ASK, "low", {"acts": False, "cost_cents": 2})
    assert failed.needed
    assert not failed.decision.allowed
    assert failed.decision.errors
    assert failed.decision.reason.startswith("Denied, since the policies could not be applied: ")


def test_what_nobody_permits_is_denied() -> None:
    """Without a policy that speaks of it the answer is no, and says that none permits it."""
    decision = SHIPPED_POLICY.may_call(Principal(subject="ann"), ASK, "refund")
    assert not decision.allowed
    assert decision.policies == ()
    assert decision.reason == "Denied, since no policy permits call_tool of Tool refund to Person default/ann."


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("see_run", {"tenant": "default"}),
        ("promote_prompt", {"name": "p"}),
        ("start", {"name": "ask"}),
        ("approve", {"workflow": "ask", "risk": "low", "classification": "secret"}),
        ("approve", {"workflow": "ask", "risk": "low", "colour": "blue"}),
    ],
)
def test_a_question_that_cannot_be_read_is_denied(action: Action, resource: dict[str, str]) -> None:
    """A missing, unknown or nonsensical fact denies with the reason, and raises nothing."""
    decision = SHIPPED_POLICY.may(Principal(subject="ann", roles=frozenset(ROLES)), action, resource)
    assert not decision.allowed
    assert decision.errors


@given(st.text(st.characters(), max_size=20), st.integers())
def test_no_name_and_no_number_raises(name: str, number: int) -> None:
    """Any text as a name, lone surrogates too, and any number: there is a decision, and an error in it denies."""
    asker = Principal(subject=name, tenant=name, roles=frozenset({name, "operator"}), regions=frozenset({name}))
    for decision in (
        SHIPPED_POLICY.may_start(asker, ASK),
        SHIPPED_POLICY.may_call(asker, ASK, name),
        SHIPPED_POLICY.may(asker, "see_run", {"tenant": name, "subject": name}),
        SHIPPED_POLICY.approval(ASK, "low", {"acts": False, "cost_cents": number}).decision,
    ):
        assert not (decision.errors and decision.allowed)
        assert all(len(error) <= LONGEST_ERROR for error in decision.errors)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_a_name_that_is_no_text_is_denied(name: str) -> None:
    """A lone surrogate cannot be put to Cedar; the answer is no, with the error."""
    decision = SHIPPED_POLICY.may_start(Principal(subject=name), ASK)
    assert not decision.allowed
    assert decision.errors


# A person decides


@pytest.mark.parametrize(
    ("risk", "facts", "needed", "by"),
    [
        ("high", {"acts": False, "lowest_integrity": "external"}, False, "go-on"),
        ("low", {"acts": True, "lowest_integrity": "internal"}, False, "go-on"),
        ("low", {"acts": True, "lowest_integrity": 0}, True, "person-for-outside-text"),
        ("high", {"acts": True, "lowest_integrity": "reviewed"}, True, "person-for-high-risk"),
        ("low", {}, True, "person-for-outside-text"),
    ],
)
def test_when_a_person_decides(risk: str, facts: dict[str, bool | int | str], needed: bool, by: str) -> None:
    """An act of high risk, or on text from outside, waits; so does one of which nothing is known."""
    approval = SHIPPED_POLICY.approval(ASK, risk, facts)  # type: ignore[arg-type]
    assert approval.needed == needed
    assert approval.decision.policies == (by,)


def test_who_may_decide() -> None:
    """The roles of an approval are those, and only those, that the policy lets approve the result."""
    for risk in ("medium", "high"):
        facts: dict[str, bool | int | str] = {"acts": True, "lowest_integrity": "external"}
        roles = SHIPPED_POLICY.approval(ASK, risk, facts).roles  # type: ignore[arg-type]
        resource = {"workflow": "ask", "risk": risk, "acts": "true", "lowest_integrity": "external"}
        let = {
            role
            for role in ROLES
            if SHIPPED_POLICY.may(Principal(subject="x", roles=frozenset({role})), "approve", resource).allowed
        }
        assert roles == let
        assert "reviewer" in roles
        assert ("operator" in roles) == (risk == "medium")


def test_where_none_is_needed_nobody_is_named() -> None:
    """An approval that is not needed names no role."""
    assert SHIPPED_POLICY.approval(ASK, "low", {"acts": False}).roles == frozenset()


def test_retention_is_by_class(folder: Path) -> None:
    """The more sensitive, the shorter; what a home changes in its file counts."""
    days = [SHIPPED_POLICY.retention(one).days for one in Classification]
    assert days == sorted(days, reverse=True)
    text = (
        (folder / "retention.yaml").read_text("utf-8").replace("days: 30", "days: 7").replace("contents\n", "facts\n")
    )
    (folder / "retention.yaml").write_text(text, "utf-8")
    rule = load(folder).retention(Classification.regulated)
    assert (rule.days, rule.policy, rule.keeps) == (7, "retention-regulated", "facts")


# Loading


PERMIT = 'permit (principal, action == Action::"start", resource)'


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("\n\npermit (principal, action resource);", "bad_policy", 3),
        (policy("a", PERMIT + ";") + "\npermit", "bad_policy", 6),
        (policy("a", PERMIT), "bad_policy", 1),
        ('@owner("me")\n@description("x")\n' + PERMIT + ";", "missing_annotation", 1),
        ('@id("a")\n@description("x")\n' + PERMIT + ";", "missing_annotation", 1),
        ('@id("a")\n@owner("me")\n@description(" ")\n' + PERMIT + ";", "missing_annotation", 1),
        ("// one\n" + policy("start-ask", PERMIT + ";"), "duplicate_policy", 2),
        (policy("a", PERMIT + ";") + policy("a", PERMIT + ";"), "duplicate_policy", 5),
        (policy("a", 'permit (principal, action == Action::"fly", resource);'), "policy_against_schema", 1),
        (policy("a", PERMIT + " when { resource.colour == 1 };"), "policy_against_schema", 1),
        (policy("a", PERMIT + " when { resource.risk == 1 };"), "policy_against_schema", 1),
        (policy("a", PERMIT + " when { context.now == 1 };"), "policy_against_schema", 1),
        (policy("a", 'permit (principal == ?principal, action == Action::"start", resource);'), "policy_template", 1),
    ],
)
def test_a_policy_is_refused_with_its_place(folder: Path, text: str, code: str, line: int) -> None:
    """What is no Cedar, is not described, stands twice or speaks of what there is not is refused with its place."""
    with pytest.raises(BadInput) as refused:
        load(add(folder, text))
    assert refused.value.code == code
    assert refused.value.item == f"{folder / 'zebra.cedar'}:{line}"
    assert refused.value.cause.endswith(".")


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [
        ("entity Tool;", "entity Tool", "bad_policy_schema", 27),
        ("entity Tool;", "entity Tool = { kind: Strng };", "bad_policy_schema", 27),
        ("  environment: String,", "  stage: String,", "policy_against_schema", None),
        ("  provider: String,", "", "schema_does_not_fit", 1),
    ],
)
def test_a_schema_is_refused_with_its_place(folder: Path, old: str, new: str, code: str, line: int | None) -> None:
    """A schema that is none, or cannot take what the product asks, is refused when it is read and not in a run."""
    path = folder / "groundwire.cedarschema"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    with pytest.raises(BadInput) as refused:
        load(folder)
    assert refused.value.code == code
    if line is not None:
        assert refused.value.item == f"{path}:{line}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("days: 30", "days: 0"),
        ("days: 30", "days: many"),
        ("regulated:", "secret:"),
        ("public:", "public: ["),
        ("keeps: facts", ""),
        ("public:", "[" * 5_000),
    ],
)
def test_retention_is_checked(folder: Path, old: str, new: str) -> None:
    """A class without a rule, an unknown one, a number that is none: refused by the file's name."""
    path = folder / "retention.yaml"
    text = path.read_text("utf-8").replace("keeps: contents", "keeps: facts", 1)
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(BadInput) as refused:
        load(folder)
    assert refused.value.code == "bad_retention"
    assert refused.value.item == str(path)


def test_every_rule_says_where_it_stands() -> None:
    """Each policy has owner, description, actions and the line at which it stands."""
    for rule in SHIPPED_POLICY.rules:
        lines = (SHIPPED / rule.file).read_text("utf-8").splitlines()
        assert lines[rule.line - 1] == f'@id("{rule.id}")'
        assert rule.owner
        assert rule.actions
        assert dataclasses.astuple(rule)
