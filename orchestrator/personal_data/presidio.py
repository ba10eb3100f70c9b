"""Names of people and organisations by Presidio, behind the port of a detector. Needs the extra `presidio`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ingest.errors import DependencyDown
from orchestrator.personal_data.detection import Entity

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

_NAMES: Final = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "NRP"})


class PresidioDetector:
    """What a Presidio analyser finds of `types`, at least as sure as `least_score`."""

    def __init__(
        self,
        engine: AnalyzerEngine | None = None,
        *,
        types: frozenset[str] = _NAMES,
        language: str = "en",
        least_score: float = 0.4,  # Presidio's own scores: 0.85 for what its NER model finds, less for weak patterns
        most_characters: int = 100_000,  # of a piece of text that the NER model gets at once
    ) -> None:
        """`engine` is by default Presidio's own, with the spaCy model that is installed.

        Raises DependencyDown where Presidio or its model is not there: nothing is downloaded.
        """
        self.name = "presidio"
        self.types = types
        self._engine = engine or _engine(language)
        self._language, self._least_score, self._most = language, least_score, most_characters

    def detect(self, text: str) -> Iterator[Entity]:
        """What the analyser finds in `text`, piece by piece, cut at white space."""
        start = 0
        while start < len(text):
            end = _cut(text, start, start + self._most)
            for found in self._engine.analyze(
                text[start:end], language=self._language, entities=sorted(self.types), score_threshold=self._least_score
            ):
                yield Entity(
                    type=found.entity_type, start=start + found.start, end=start + found.end, score=found.score
                )
            start = end


def _cut(text: str, start: int, limit: int) -> int:
    if limit >= len(text):
        return len(text)
    space = max(text.rfind(" ", start, limit), text.rfind("\n", start, limit))
    return space + 1 if space > start else limit


def _engine(language: str) -> AnalyzerEngine:
    try:
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError as error:
        cause = "Presidio is not installed."
        raise DependencyDown("presidio", "missing_extra", cause, "Install groundwire[presidio].") from error
    import spacy.util

    models = sorted(name for name in spacy.util.get_installed_models() if name.startswith(f"{language}_"))
    if not models:
        cause = f"No spaCy model for the language '{language}' is installed."
        raise DependencyDown("presidio", "missing_model", cause, "Install one of https://spacy.io/models.")
    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": language, "model_name": models[-1]}]}
    provider = NlpEngineProvider(nlp_configuration=configuration)
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[language])
