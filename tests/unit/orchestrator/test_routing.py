"""Where a validated output goes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract import Confidence
from orchestrator.judging import Judged, Sign
from orchestrator.policy.decisions import Approval, Decision
from orchestrator.routing import RULES, Approved, Escalate, Situation, route, to_escalate
from orchestrator.workflows import ASK, RISKS, Risk, Thresholds
from retrieval.sealed import Seal
from tests.unit.orchestrator.egress.stand_ins import checked, kept, said

ROOT = Path(__file__).parents[3]
SENTENCE = "Every full-time employee receives 25 days of paid leave a year."
ANSWER = kept(checked({"answerable": True, "claims": [said(SENTENCE, SENTENCE)], "confidence": 0.9}))
NOTHING = kept(checked({"answerable": False, "claims": [], "confidence": 0.9}))
SIGNS: tuple[Sign, ...] = ("contradiction", "failed_support", "hedging", "critique", "disagreement")


def judged(score: float = 0.95, least: float = 0.5, *signs: Sign, evidence: bool = True) -> Judged:
    return Judged(
        confidence=Confidence(score=score, calibrated=False, signals={"x": score}),
        carries=score >= least,
        threshold=least,
        rule="r",
        evidence_carries=evidence,
        signs=signs,
    )


def approval(needed: bool = False) -> Approval:
    decision = Decision(
        allowed=not needed, action="go_on", policies=("p",), version="v", reason="Denied, since a person decides (p)."
    )
    return Approval(needed=needed, roles=frozenset({"reviewer"}) if needed else frozenset(), decision=decision)


def gone(judgement: Judged, risk: Risk = "low", *, output: Any = ANSWER, wait: bool = False, **situation: bool) -> Any:
    return route(output, judgement, ASK, risk, approval(wait), Situation(**situation))


@pytest.mark.parametrize(
    ("case", "risk", "outcome", "rule", "threshold"),
    [
        ({"judgement": judged(0.51)}, "low", "answer", "route-answer", 0.5),
        ({"judgement": judged(0.49)}, "low", "abstain", "route-floor", 0.5),
        ({"judgement": judged(0.31, 0.3)}, "low", "answer", "route-answer", 0.3),
        ({"judgement": judged(0.69)}, "medium", "review", "route-band-review", 0.7),
        ({"judgement": judged(0.7)}, "medium", "answer", "route-answer", 0.7),
        ({"judgement": judged(0.49)}, "medium", "abstain", "route-floor", 0.5),
        ({"judgement": judged(0.89)}, "high", "review", "route-band-review", 0.9),
        ({"judgement": judged(0.9)}, "high", "answer", "route-answer", 0.9),
        ({"judgement": judged(0.95), "acts": True}, "low", "act", "route-act", 0.5),
        ({"judgement": judged(0.95), "acts": True, "wait": True}, "low", "review", "route-approval", None),
        ({"judgement": judged(0.49), "acts": True, "wait": True}, "low", "abstain", "route-floor", 0.5),
        ({"judgement": judged(0.95), "output": NOTHING}, "low", "abstain", "route-nothing-to-say", None),
        ({"judgement": judged(0.1), "withheld": True}, "low", "review", "route-withheld", None),
        (
            {"judgement": judged(0.95), "output": NOTHING, "stronger": True},
            "low",
            "abstain",
            "route-nothing-to-say",
            None,
        ),
    ],
)
def test_the_way_of_an_output(
    case: dict[str, Any], risk: Risk, outcome: str, rule: str, threshold: float | None
) -> None:
    """Score, thresholds, policy and situation lead to one outcome, which names its rule and threshold."""
    found = gone(risk=risk, **case)
    assert isinstance(found, Approved)
    assert (found.outcome, found.rule, found.threshold) == (outcome, rule, threshold)
    assert found.queue == (ASK.queue if outcome == "review" else None)
    assert found.confidence is case["judgement"].confidence


def test_where_nobody_reviews_there_is_no_answer() -> None:
    """Between the least score and that of an answer, without a review, the answer is not given."""
    limits = MappingProxyType({"low": Thresholds(abstain=0.4, answer=0.8, review=False)})
    workflow = dataclasses.replace(ASK, thresholds=limits)
    found = route(ANSWER, judged(0.6, 0.4), workflow, "low", approval())
    assert isinstance(found, Approved)
    assert (found.outcome, found.rule, found.threshold) == ("abstain", "route-band-abstain", 0.8)


def test_a_person_in_a_role_decides() -> None:
    """What waits for a policy names the roles that may decide, and the policy in its reason."""
    found = gone(judged(), wait=True)
    assert found.roles == {"reviewer"}
    assert "(p)" in found.reason


@pytest.mark.parametrize("sign", SIGNS)
def test_a_doubtful_output_asks_a_stronger_model(sign: Sign) -> None:
    """Cheap first: what the output looks like sends it to a stronger model, even with a good score."""
    found = gone(judged(0.95, 0.5, sign), stronger=True)
    assert isinstance(found, Escalate)
    assert (found.sign, found.rule) == (sign, "route-escalate")
    assert gone(judged(0.95, 0.5, sign)).outcome == "answer"  # where there is none, or it was tried


@pytest.mark.parametrize(("score", "risk"), [(0.6, "medium"), (0.3, "medium"), (0.3, "low"), (0.8, "high")])
def test_a_low_score_asks_a_stronger_model(score: float, risk: Risk) -> None:
    """So does a score below that of an answer, as long as the evidence carries the question."""
    found = gone(judged(score), risk, stronger=True)
    assert isinstance(found, Escalate)
    assert (found.sign, found.threshold) == ("low_score", ASK.threshold(risk).answer)


@given(st.floats(0, 1), st.sampled_from(RISKS), st.lists(st.sampled_from(SIGNS)))
def test_the_same_evidence_is_not_read_twice(score: float, risk: Risk, signs: list[Sign]) -> None:
    """Where the evidence does not carry the question, no stronger model is asked to read it again."""
    doubtful = judged(score, 0.5, *signs, evidence=False)
    assert to_escalate(doubtful, ASK.threshold(risk)) is None
    assert isinstance(gone(doubtful, risk, stronger=True), Approved)


situations = st.builds(Situation, withheld=st.booleans(), stronger=st.booleans(), acts=st.booleans())
judgements = st.builds(
    lambda score, least, signs, evidence: judged(score, least, *signs, evidence=evidence),
    st.floats(0, 1),
    st.floats(0, 1),
    st.lists(st.sampled_from(SIGNS), max_size=2),
    st.booleans(),
)


@given(judgements, st.sampled_from(RISKS), situations, st.booleans(), st.sampled_from([ANSWER, NOTHING]))
def test_every_output_has_one_way(judgement: Judged, risk: Risk, situation: Situation, wait: bool, output: Any) -> None:
    """Whatever comes, there is one outcome with a known rule and a whole sentence, and the same again."""
    found = route(output, judgement, ASK, risk, approval(wait), situation)
    assert found == route(output, judgement, ASK, risk, approval(wait), situation)
    assert found.rule in RULES
    assert found.reason.endswith(".")
    if isinstance(found, Escalate):
        assert situation.stronger
        return
    if found.outcome in ("answer", "act"):
        assert judgement.carries
        assert judgement.confidence.score >= ASK.threshold(risk).answer or ASK.threshold(risk).answer == 0.5
        assert output is ANSWER
        assert not wait
        assert not situation.withheld
    assert (found.outcome == "act") <= situation.acts


@given(judgements, judgements, st.sampled_from(RISKS))
def test_a_better_score_never_loses_its_answer(one: Judged, other: Judged, risk: Risk) -> None:
    """With all else the same, what is answered at a score is answered at every higher one."""
    low, high = sorted((one.confidence.score, other.confidence.score))
    outcomes = [gone(judged(score), risk).outcome for score in (low, high)]
    assert outcomes != ["answer", "review"]
    assert outcomes != ["answer", "abstain"]


# Nothing else goes through


@pytest.mark.parametrize("other", [None, "text", ANSWER.output, ANSWER.produced, object()])
def test_a_router_refuses_anything_else(other: Any) -> None:
    """What no gate has validated is refused at run time, whatever it looks like."""
    with pytest.raises(TypeError, match="takes a Validated"):
        gone(judged(), output=other)


def test_only_the_router_makes_an_approved() -> None:
    """No other constructor makes one, with or without a seal, and none can be changed or copied."""
    found = gone(judged())
    given = {name.name: getattr(found, name.name) for name in dataclasses.fields(Approved)}
    for seal in (object(), Seal("orchestrator.routing.route"), None):
        with pytest.raises(TypeError):
            Approved(**given, seal=seal)  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError)):
        dataclasses.replace(found, outcome="act")


def test_the_type_checker_refuses_anything_else(tmp_path: Path) -> None:
    """mypy accepts a Validated and refuses an Invalid, a Produced and a look-alike, line by line."""
    script = tmp_path / "routes.py"
    script.write_text(
        "from orchestrator.egress.gate import Invalid, Validated\n"
        "from orchestrator.gateway.outcomes import Produced\n"
        "from orchestrator.judging import Judged\n"
        "from orchestrator.policy.decisions import Approval\n"
        "from orchestrator.routing import route\n"
        "from orchestrator.workflows import ASK\n"
        "def right(x: Validated, j: Judged, a: Approval) -> None:\n"
        "    route(x, j, ASK, 'low', a)\n"
        "def wrong(x: Invalid, y: Produced, z: object, j: Judged, a: Approval) -> None:\n"
        "    route(x, j, ASK, 'low', a)\n"
        "    route(y, j, ASK, 'low', a)\n"
        "    route(z, j, ASK, 'low', a)\n"
    )
    read = [
        "retrieval/sealed.py",
        "orchestrator/routing.py",
        "orchestrator/egress/gate.py",
        "orchestrator/gateway/outcomes.py",
    ]
    options = ["--follow-imports=skip", "--no-incremental", "--no-error-summary"]  # all else is as good as untyped
    command = [sys.executable, "-m", "mypy", *options, str(script), *read]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = [line.split(":")[1] for line in done.stdout.splitlines() if line.startswith(str(script))]
    assert told == ["10", "11", "12"], done.stdout + done.stderr
