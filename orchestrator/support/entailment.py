"""The port of a model that judges whether a text follows from another, and one that sentence-transformers runs.

Optional: the rule of `support.score` needs no such model. The cross-encoder was tested with a double, and no figure of
this project was measured with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ingest.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping


class Entailment(Protocol):
    """Judges texts. Safe to call from several threads."""

    def entails(self, evidence: str, claim: str) -> float:
        """The chance, 0 to 1, that `claim` follows from `evidence`."""
        ...


class CrossEncoderEntailment:
    """A cross-encoder that was trained on natural language inference (Bowman et al., 2015), on sentence-transformers.

    Needs the extra `torch`. Code that comes with a model is never run, and nothing is fetched unless it is allowed.
    """

    def __init__(self, model: str, *, allow_download: bool = False) -> None:
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(model, local_files_only=not allow_download, trust_remote_code=False)
        self._column = _entailment_column(model, self._model.config.id2label)

    def entails(self, evidence: str, claim: str) -> float:
        """The chance, 0 to 1, that `claim` follows from `evidence`; a long evidence is cut by the model."""
        chances = self._model.predict([(evidence, claim)], apply_softmax=True, show_progress_bar=False)
        return float(chances[0][self._column])


def _entailment_column(model: str, labels: Mapping[int, str]) -> int:
    """Which output means entailment. Raises BadInput for a model that has no such output."""
    for column, label in labels.items():
        if label.casefold() == "entailment":
            return int(column)
    cause = f"Its outputs are {', '.join(labels.values())}, and none of them is entailment."
    raise BadInput(model, "no_entailment", cause, "Choose a cross-encoder that was trained on inference.")
