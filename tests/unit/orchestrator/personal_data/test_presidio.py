"""Presidio stands behind the port of a detector; without it the reader is told what to install."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from ingest.errors import DependencyDown
from orchestrator.personal_data.presidio import PresidioDetector

HERE = importlib.util.find_spec("presidio_analyzer") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capitals:
    """An engine for tests that takes every capitalised word for a person; keeps the sizes that it was given."""

    sizes: list[int]

    def analyze(self, text: str, *, language: str, entities: list[str], score_threshold: float) -> list[Any]:
        self.sizes.append(len(text))
        assert (language, entities, score_threshold) == ("en", ["PERSON"], 0.5)
        found = re.finditer(r"[A-Z]\w+", text)
        return [SimpleNamespace(entity_type="PERSON", start=m.start(), end=m.end(), score=0.85) for m in found]


def test_long_texts_go_to_the_model_in_pieces() -> None:
    """No piece is longer than the limit, none cuts a word that has a space before it, and offsets count in the text."""
    engine = Capitals(sizes=[])
    detector = PresidioDetector(engine, types=frozenset({"PERSON"}), least_score=0.5, most_characters=12)  # type: ignore[arg-type]
    text = "then Anna and Bernhard met Clara again"
    assert [text[e.start : e.end] for e in detector.detect(text)] == ["Anna", "Bernhard", "Clara"]
    assert max(engine.sizes) <= 12
    assert sum(engine.sizes) == len(text)


@pytest.mark.skipif(HERE, reason="presidio is installed")
def test_without_presidio_the_next_step_is_named() -> None:
    """The extra is optional, and a setting that asks for it says how to get it."""
    with pytest.raises(DependencyDown, match=r"Install groundwire\[presidio\]"):
        PresidioDetector()


@pytest.mark.skipif(not HERE, reason="needs the extra presidio")
def test_a_real_analyser() -> None:
    """Presidio's own engine, with a recogniser of words and no model, finds names through the port."""
    from presidio_analyzer import AnalyzerEngine, PatternRecognizer, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

    class NoModel(NlpEngine):
        def load(self) -> None: ...
        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            return NlpArtifacts([], [], [], [], self, language)

        def process_batch(self, texts: Any, language: str, **_: Any) -> Any:
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en"]

    recogniser = PatternRecognizer(supported_entity="PERSON", deny_list=["Ann Lee"])
    registry = RecognizerRegistry(recognizers=[recogniser], supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=NoModel(), supported_languages=["en"])
    entities = list(PresidioDetector(engine).detect("Then Ann Lee left."))
    assert [(entity.type, entity.start, entity.end) for entity in entities] == [("PERSON", 5, 12)]
