"""Whether the evidence carries a question, with the real encoder over a handbook written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import encoder_input
from ingest.encoder import Encoder
from ingest.encoders import EncoderConfig, open_encoder
from ingest.errors import BadInput
from orchestrator.calibration import Calibration, calibrate, write_calibration
from orchestrator.confidence import LEAD_TO, RULE, Circumstances, Judge, assess, open_judge, signals
from orchestrator.contract import Confidence
from orchestrator.extractive import Pool, pool
from orchestrator.question import read_question
from retrieval.evidence import Hit, Passage
from retrieval.late_interaction import max_sim

HANDBOOK = {
    "Leave": "Every full-time employee receives 25 days of paid leave a year. Part-time employees receive a share "
    "of it. Unused days may be carried over until 31 March. They lapse after that date.",
    "Travel": "Trips are booked through the travel desk. Ines Roth approves trips outside Europe. "
    "Meals are refunded up to 40 EUR a day.",
    "Security": "Laptops are encrypted. Lost devices are reported to the security desk within one hour.",
    "Urlaub": "Vollzeitkräfte erhalten 30 Tage bezahlten Urlaub im Jahr. Resturlaub verfällt am 31. März.",
}
CALM = Circumstances()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(threads=1, allow_download=False))


def found(question: str, encoder: Encoder, texts: dict[str, str] | None = None) -> list[Hit]:
    """Every passage as a hit, in the order of its cosine, with the legs that confidence reads."""
    texts = HANDBOOK if texts is None else texts
    asked = encoder.encode_query(question)
    encoded = encoder.encode([encoder_input(title, (), text)[0] for title, text in texts.items()])
    late = max_sim(asked, [tokens.bits for tokens in encoded.tokens])
    hits = [
        Hit(
            passage=_passage(title, text),
            score=float(cosine),
            legs={"dense": float(cosine), "late": float(close)},
            tokens=tokens,
        )
        for (title, text), cosine, close, tokens in zip(
            texts.items(), encoded.dense @ asked.dense, late, encoded.tokens, strict=True
        )
    ]
    return sorted(hits, key=lambda hit: -hit.score)


def _passage(title: str, text: str) -> Passage:
    return Passage(
        chunk_id=title,
        document_id=title,
        version=1,
        title=title,
        source_uri=f"record:{title}",
        text=text,
        start=0,
        end=len(text),
        page=None,
        page_end=None,
        headings=(),
    )


def evidence(question: str, encoder: Encoder, texts: dict[str, str] | None = None) -> tuple[Pool, list[Hit]]:
    hits = found(question, encoder, texts)
    return pool(read_question(question), encoder.encode_query(question), hits), hits


def score(question: str, encoder: Encoder, circumstances: Circumstances = CALM) -> float:
    return assess(read_question(question), *evidence(question, encoder), circumstances).score


def measured(question: str, encoder: Encoder) -> dict[str, float]:
    return signals(read_question(question), *evidence(question, encoder), CALM)


@pytest.mark.parametrize(
    "question",
    [
        "Which enzyme unwinds DNA during replication?",
        "What is the boiling point of mercury?",
        "Who painted the ceiling of the chapel?",
        "Wie hoch ist der Mount Everest?",
        "水星的沸点是多少度？",
    ],
)
def test_a_question_about_something_else_is_not_answered(encoder: Encoder, question: str) -> None:
    """When the evidence is about something else the score lies below the threshold."""
    assert score(question, encoder) < RULE.threshold


@pytest.mark.parametrize(
    "question",
    [
        "How many days of paid leave does a full-time employee receive?",
        "Who approves trips outside Europe?",
        "Until when may unused days be carried over?",
        "Are laptops encrypted?",
        "Within what time are lost devices reported to the security desk?",
        "Wie viele Tage bezahlten Urlaub erhalten Vollzeitkräfte im Jahr?",
    ],
)
def test_a_question_that_the_evidence_carries_is_answered(encoder: Encoder, question: str) -> None:
    """When a sentence says it, the score reaches the threshold."""
    assert score(question, encoder) >= RULE.threshold


@pytest.mark.parametrize(
    ("carried", "changed", "signal"),
    [
        ("Did Ines Roth approve trips?", "Did Omar Diaz approve trips?", "names_missing"),
        ("Are meals refunded up to 40 EUR a day?", "Are meals refunded up to 95 EUR a day?", "numbers_missing"),
        ("Are laptops encrypted?", "Are laptops not encrypted?", "negation_missing"),
        ("Are lost devices reported?", "Are lost devices unreported?", "opposite"),
        ("Are trips outside Europe approved?", "Are trips inside Europe approved?", "opposite"),
    ],
)
def test_a_swapped_name_number_or_negation_lowers_the_score(
    encoder: Encoder, carried: str, changed: str, signal: str
) -> None:
    """What likeness cannot see is a signal by name, and each such signal costs."""
    assert measured(carried, encoder)[signal] == 0.0
    assert measured(changed, encoder)[signal] > 0.0
    assert RULE.weights[signal] < 0
    assert score(changed, encoder) < score(carried, encoder)


def test_a_sentence_that_denies_and_one_without_what_is_asked_for_cost(encoder: Encoder) -> None:
    """A negation that the question has not, and a question for a person that a sentence without one is to answer."""
    denied = {"Security": "Laptops are not encrypted."}
    question = "Are laptops encrypted?"
    assert signals(read_question(question), *evidence(question, encoder, denied), CALM)["negation_added"] == 1.0
    assert measured("Who encrypts laptops?", encoder)["kind_missing"] == 1.0
    assert measured("Who approves trips outside Europe?", encoder)["kind_missing"] == 0.0


@pytest.mark.parametrize("circumstances", [Circumstances(conflict=True), Circumstances(stale=True)])
def test_a_conflict_and_an_older_edition_lower_the_score(encoder: Encoder, circumstances: Circumstances) -> None:
    """Each thing that another step found against the evidence costs."""
    question = "Who approves trips outside Europe?"
    assert score(question, encoder, circumstances) < score(question, encoder)


def test_the_lead_is_that_of_the_best_passage_and_has_an_end(encoder: Encoder) -> None:
    """Nothing without a second passage; the difference of the two best; never more than LEAD_TO."""
    question = "Are laptops encrypted?"
    made, hits = evidence(question, encoder)
    alone = signals(read_question(question), made, hits[:1], CALM)
    late = sorted((hit.legs["late"] for hit in hits), reverse=True)
    assert alone["lead"] == 0.0
    assert measured(question, encoder)["lead"] == pytest.approx(made.familiar * min(LEAD_TO, late[0] - late[1]))
    far = [replace(hits[0], legs={"dense": 1.0, "late": 5.0}), hits[1]]
    assert signals(read_question(question), made, far, CALM)["lead"] == pytest.approx(made.familiar * LEAD_TO)


def test_without_evidence_there_is_no_score_and_no_answer(encoder: Encoder) -> None:
    """No passage, or passages of nothing: score 0, and not even a threshold of 0 lets an answer through."""
    for texts in ({}, {"Empty": "…"}):
        asked = read_question("Who approves trips?")
        made, hits = evidence("Who approves trips?", encoder, texts)
        assert assess(asked, made, hits) == Confidence(score=0.0, calibrated=False, signals={})
        assert not Judge(threshold=0.0).judge(asked, made, hits).carries


def test_the_rule_weighs_every_signal_and_no_other(encoder: Encoder) -> None:
    """Each weight belongs to a signal that is measured, and each signal has a weight."""
    assert set(RULE.weights) == set(measured("Who approves trips?", encoder))
    assert 0.0 < RULE.threshold < 1.0


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=120), max_size=4), st.text(min_size=1, max_size=60))
def test_any_evidence_has_a_score(encoder: Encoder, texts: dict[str, str], question: str) -> None:
    """Whatever passages and question hold, the score is within [0, 1] and every signal is finite."""
    confidence = assess(read_question(question), *evidence(question, encoder, texts or {"a": "b"}))
    assert 0.0 <= confidence.score <= 1.0
    assert all(np.isfinite(value) for value in confidence.signals.values())


# The judge


def labelled(encoder: str = "e", rule: str = RULE.version) -> Calibration:
    """Labels that are right from a score of .7 on."""
    scores: Sequence[float] = np.linspace(0.02, 0.98, 400).tolist()
    right = [value >= 0.7 for value in scores]
    return calibrate(scores, right, rule=rule, encoder=encoder, source="set")


def test_a_calibrated_score_is_a_chance_and_has_its_own_threshold(encoder: Encoder) -> None:
    """The score is what the curve says of the rule's score; the threshold is the one that labels chose."""
    question = "Who approves trips outside Europe?"
    asked, (made, hits) = read_question(question), evidence(question, encoder)
    raw = assess(asked, made, hits)
    calibration = labelled()
    judged = Judge(calibration=calibration).judge(asked, made, hits)
    assert judged.confidence.calibrated
    assert judged.confidence.score == round(calibration.chance(raw.score), 4) != raw.score
    assert judged.confidence.signals == raw.signals
    assert calibration.threshold > RULE.threshold
    for threshold, carries in ((raw.score, True), (raw.score + 1e-4, False)):
        strict = calibration.model_copy(update={"threshold": threshold})
        assert Judge(calibration=strict).judge(asked, made, hits).carries is carries


def test_an_uncalibrated_score_says_so(encoder: Encoder) -> None:
    """Without labels the rule's own score and threshold decide, and nobody is told that the score is a chance."""
    question = "Who approves trips outside Europe?"
    judged = Judge().judge(read_question(question), *evidence(question, encoder))
    assert judged.carries
    assert not judged.confidence.calibrated


def test_a_home_opens_the_calibration_that_was_made_for_it(tmp_path: Path) -> None:
    """One for another rule or another encoder is left aside; a damaged one stops the opening."""
    path = tmp_path / "calibration.json"
    assert open_judge(path, "e").calibration is None
    calibration = labelled()
    write_calibration(path, calibration)
    assert open_judge(path, "e").calibration == calibration
    assert open_judge(path, "another").calibration is None
    assert open_judge(path, "e", replace(RULE, version="another")).calibration is None
    path.write_text("{", "utf-8")
    with pytest.raises(BadInput):
        open_judge(path, "e")
