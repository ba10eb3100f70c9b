"""How far a model's output is to be believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.calibration import Calibration, write_calibration
from orchestrator.confidence import RULE as EVIDENCE_RULE
from orchestrator.confidence import Judge, Judgement
from orchestrator.contract import Citation, Claim, Confidence
from orchestrator.egress.gate import Validated
from orchestrator.judging import (
    RULE,
    Judged,
    OutputJudge,
    calibrated_rule,
    hedges,
    judge_evidence,
    open_output_judge,
    score,
)
from orchestrator.workflows import RISKS
from tests.unit.orchestrator.egress.stand_ins import LEAVE, checked, kept, said

SENTENCE = "Every full-time employee receives 25 days of paid leave a year."
CARRIED = said("Full-time employees receive 25 days of paid leave a year.", SENTENCE)
DROPPED = said("The form is blue.", SENTENCE)


def answer(*claims: Any, confidence: float = 0.8) -> Validated:
    """An answer that passed the real gate."""
    output = {"answerable": bool(claims), "claims": [*claims], "confidence": confidence}
    return kept(checked(output))


def evidence(value: float = 0.8, *, carries: bool = True) -> Judgement:
    return Judgement(confidence=Confidence(score=value, calibrated=False, signals={"x": value}), carries=carries)


def judge(validated: Validated | None = None, **more: Any) -> Judged:
    given: dict[str, Any] = {"evidence": evidence(), "risk": "low", "least": 0.5} | more
    return OutputJudge().judge(validated or answer(CARRIED), **given)


def calibration(model: str, encoder: str = "e") -> Calibration:
    return Calibration(
        rule=calibrated_rule(RULE, model),
        encoder=encoder,
        source="golden",
        made=datetime(2026, 11, 20, tzinfo=UTC),
        n=10,
        wrong=1,
        risk=0.1,
        confidence=0.9,
        threshold=0.7,
        coverage=0.5,
        method="logistic",
        curve=((0.0, 0.1), (1.0, 0.9)),
    )


# Evidence alone


@pytest.mark.parametrize("threshold", [None, 0.0, 0.3])
def test_what_only_quotes_is_judged_by_its_evidence(threshold: float | None) -> None:
    """For the extractive model score, signals and verdict are those of the evidence, untouched."""
    for judgement in (evidence(0.41, carries=False), evidence(0.41, carries=True)):
        judged = judge_evidence(judgement, Judge(threshold=threshold))
        assert judged.confidence is judgement.confidence
        assert judged.carries == judged.evidence_carries == judgement.carries
        assert (judged.signs, judged.flags) == ((), ())
        assert judged.rule == EVIDENCE_RULE.version
        assert judged.threshold == (EVIDENCE_RULE.threshold if threshold is None else threshold)


def test_a_calibrated_threshold_is_on_the_scale_of_the_score() -> None:
    """Where the score is a chance of being right, the threshold that is shown beside it is one, too."""
    chance = Judgement(confidence=Confidence(score=0.8, calibrated=True, signals={"x": 1}), carries=True)
    assert judge_evidence(chance, Judge(calibration=calibration("m"))).threshold == pytest.approx(0.66)


# The rule


signal = st.sampled_from(sorted(RULE.weights))
share = st.floats(0, 1)


@given(st.dictionaries(signal, share), signal, share, share)
def test_the_score_is_monotone_in_each_signal(found: dict[str, float], name: str, one: float, other: float) -> None:
    """More of what speaks for an output never lowers its score, more of what speaks against it never raises it."""
    low, high = sorted((one, other))
    difference = score(found | {name: high}) - score(found | {name: low})
    assert difference >= 0 if RULE.weights[name] > 0 else difference <= 0


@given(st.dictionaries(signal, share), signal)
def test_a_signal_that_is_not_there_is_neutral(found: dict[str, float], name: str) -> None:
    """A skipped signal counts as its neutral value: it neither helps nor harms."""
    found.pop(name, None)
    assert score(found) == pytest.approx(score(found | {name: RULE.neutral[name]}))


@given(st.dictionaries(signal, share))
def test_a_score_is_a_share(found: dict[str, float]) -> None:
    """Whatever the signals, the score is between 0 and 1."""
    assert 0 < score(found) < 1


def test_every_signal_has_a_neutral_value() -> None:
    """Weights and neutral values are of the same signals, and what may be due is one of them."""
    assert RULE.weights.keys() == RULE.neutral.keys()
    assert set(RULE.due) == set(RISKS)
    assert frozenset().union(*RULE.due.values()) <= RULE.weights.keys()


# Signals


def test_a_clean_output_is_believed() -> None:
    """Carried claims on good evidence reach an answer at low risk; on no evidence to speak of they do not at high."""
    good = judge()
    assert good.carries
    assert good.confidence.score > 0.7
    assert not good.confidence.calibrated
    assert good.signs == ()
    assert (
        judge(evidence=evidence(0.05, carries=False)).confidence.score
        < 0.9
        <= judge(critique=1.0, agreement=1.0).confidence.score
    )


@pytest.mark.parametrize(
    ("change", "signal", "sign"),
    [
        ({"conflict": True}, "contradiction", "contradiction"),
        ({"repaired": True}, "repaired", None),
        ({"critique": 0.5}, "critique", "critique"),
        ({"agreement": 0.2}, "agreement", "disagreement"),
        ({"evidence": evidence(0.5)}, "evidence", None),
        ({"validated": answer(CARRIED, DROPPED)}, "dropped", "failed_support"),
        ({"validated": answer(CARRIED, confidence=0.1)}, "self_report", None),
        ({"validated": answer(said(f"It seems that {SENTENCE}", SENTENCE))}, "hedging", "hedging"),
    ],
)
def test_each_doubt_lowers_the_score_and_is_told(change: dict[str, Any], signal: str, sign: str | None) -> None:
    """What speaks against an output is a signal of it, lowers its score, and is a sign where a stronger model helps."""
    clean, doubted = judge(), judge(**change)
    assert doubted.confidence.score < clean.confidence.score
    assert doubted.confidence.signals[signal] != clean.confidence.signals.get(signal)
    assert doubted.signs == ((sign,) if sign else ())


def test_an_output_without_claims_carries_nothing() -> None:
    """However good the evidence, nothing was said."""
    judged = judge(answer())
    assert not judged.carries
    assert "support_min" not in judged.confidence.signals


def test_a_contract_without_a_confidence_reports_none() -> None:
    """A summary says nothing of itself, so that signal is not there, and the rest decides."""
    summary = kept(checked({"title": "", "points": [said(SENTENCE, SENTENCE)]}, "summary"))
    judged = judge(summary)
    assert "self_report" not in judged.confidence.signals
    assert judged.confidence.signals["support_min"] == 1.0


@pytest.mark.parametrize(
    ("risk", "given_signals", "flags"),
    [
        ("low", {}, ()),
        ("medium", {}, ("critique_skipped",)),
        ("medium", {"critique": 1.0}, ()),
        ("high", {}, ("agreement_skipped", "critique_skipped")),
        ("high", {"agreement": 0.9}, ("critique_skipped",)),
        ("high", {"agreement": 0.9, "critique": 1.0}, ()),
    ],
)
def test_what_was_due_and_did_not_run_is_seen(
    risk: str, given_signals: dict[str, float], flags: tuple[str, ...]
) -> None:
    """A signal that the risk asks for, and that nobody gave, sets a flag, and is not among the signals."""
    judged = judge(risk=risk, **given_signals)
    assert judged.flags == flags
    assert judged.confidence.signals.keys() & {"critique", "agreement"} == given_signals.keys()


@given(share)
def test_the_least_score_is_the_workflows(least: float) -> None:
    """Without labels an output carries from the score that the workflow sets."""
    judged = judge(least=least)
    assert judged.carries == (judged.confidence.score >= least)
    assert judged.threshold == least


# Labels


def test_labels_make_it_a_chance_of_being_right(tmp_path: Path) -> None:
    """A calibration of this rule over this model and encoder turns the score into a chance, and sets the threshold."""
    path = tmp_path / "calibration.json"
    write_calibration(path, calibration("scripted"))
    judged = open_output_judge(path, "e").judge(answer(CARRIED), evidence(), risk="low", least=0.5)
    raw = judge().confidence.score
    assert judged.confidence.calibrated
    assert judged.confidence.score == pytest.approx(0.1 + 0.8 * raw, abs=1e-3)
    assert judged.threshold == pytest.approx(0.66)
    assert judged.carries == (raw >= 0.7)


@pytest.mark.parametrize("other", [calibration("another"), calibration("scripted", encoder="f")])
def test_labels_of_another_model_say_nothing(tmp_path: Path, other: Calibration) -> None:
    """A calibration made for another model or encoder is not used."""
    path = tmp_path / "calibration.json"
    write_calibration(path, other)
    judged = open_output_judge(path, "e").judge(answer(CARRIED), evidence(), risk="low", least=0.5)
    assert judged == judge()
    assert (
        not open_output_judge(tmp_path / "none.json", "e")
        .judge(answer(CARRIED), evidence(), risk="low", least=0.5)
        .confidence.calibrated
    )


# Words of doubt


def claim(text: str, quote: str = LEAVE) -> Claim:
    place = Citation(
        document_id="d", version=1, chunk_id="c", title="t", source_uri="s", page=None, start=0, end=1, quote=quote
    )
    return Claim(text=text, citations=(place,))


@pytest.mark.parametrize(
    "text",
    [
        "The fee is probably 5 euro.",
        "It seems that the office is closed.",
        "I think so.",
        "This might be out of date.",
        "Die Frist beträgt vermutlich 14 Tage.",
        "Le délai est peut-être de 14 jours.",
        "Creo que son 14 días.",
        "Forse sono 14 giorni.",
        "Talvez sejam 14 dias.",
        "Misschien is dat zo.",
        "Вероятно, 14 дней.",
        "Bu muhtemelen 14 gündür.",
        "期限可能是14天。",
        "おそらく14日です。",
    ],
)
def test_words_of_doubt_are_seen(text: str) -> None:
    """An output that doubts is told from one that does not, in a dozen languages."""
    assert hedges(claim(text))


@pytest.mark.parametrize(
    "text",
    [
        "Employees may work from home.",
        "You can order it in the shop.",
        "Some orders take 14 days.",
        "Die Frist beträgt 14 Tage.",
        "Запрос обрабатывается 14 дней.",
    ],
)
def test_a_permission_is_no_doubt(text: str) -> None:
    """Words of possibility that rules and manuals use do not count."""
    assert not hedges(claim(text))


def test_a_doubt_of_the_source_is_no_doubt_of_the_model() -> None:
    """Who repeats that a source says "probably" is faithful."""
    text = "Delivery will probably take a week."
    assert hedges(claim(text))
    assert not hedges(claim(text, "Delivery will PROBABLY take a week."))
