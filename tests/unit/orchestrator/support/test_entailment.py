from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ingest.errors import BadInput
from orchestrator.support.entailment import CrossEncoderEntailment


class CrossEncoder:
    """Stands for sentence-transformers' class: fixed chances, and what it was asked."""

    labels = {0: "contradiction", 1: "entailment", 2: "neutral"}  # noqa: RUF012

    def __init__(self, model: str, **options: Any) -> None:
        self.model, self.options = model, options
        self.config = SimpleNamespace(id2label=self.labels)

    def predict(self, pairs: list[tuple[str, str]], **options: Any) -> list[list[float]]:
        assert options["apply_softmax"]
        assert pairs == [("what is said", "what is claimed")]
        return [[0.1, 0.7, 0.2]]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> type[CrossEncoder]:
    module = ModuleType("sentence_transformers")
    module.CrossEncoder = CrossEncoder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    return CrossEncoder


def test_the_chance_is_that_of_the_output_for_entailment(library: type[CrossEncoder]) -> None:
    """The output is found by its label, evidence comes first, nothing is fetched and no code of a model is run."""
    judge = CrossEncoderEntailment("some-model")
    assert judge.entails("what is said", "what is claimed") == pytest.approx(0.7)
    assert judge._model.options == {"local_files_only": True, "trust_remote_code": False}


def test_a_model_without_that_output_is_refused(library: type[CrossEncoder], monkeypatch: pytest.MonkeyPatch) -> None:
    """A cross-encoder that ranks is no judge of entailment."""
    monkeypatch.setattr(library, "labels", {0: "LABEL_0"})
    with pytest.raises(BadInput, match="none of them is entailment"):
        CrossEncoderEntailment("a-reranker")
