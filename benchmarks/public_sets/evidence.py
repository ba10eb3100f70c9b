"""Sets of claims with the evidence that carries them or does not, as `groundwire eval support` takes: claims.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.public_sets import Sets, read, write

_LABELS: Final = {"supported": "supported", "partially_supported": "partial", "not_supported": "not_supported"}


def wice(data: Path, out: Path) -> None:
    """WiCE (Kamoi et al., 2023): claims of Wikipedia with the sentences of the page that they cite."""
    cases = (
        {
            "id": claim["id"],
            "claim": claim["claim"],
            "evidence": claim["evidence"],
            "label": _LABELS[claim["label"]],
            "supporting": [one for one in claim["supporting_sentences"] if one],
        }
        for claim in read(data / "claims.jsonl")
    )
    write(out / "claims.jsonl", cases)


def clapnq_sentences(data: Path, out: Path) -> None:
    """CLAP NQ (Rosenthal et al., 2024): answers that people wrote, on the sentences they selected and on the others.

    The others are those of the same passage, so that they are about the same.
    """
    cases = []
    for question in read(data / "questions.jsonl"):
        for number, answer in enumerate(question["answers"]):
            passage = question["passages"][0]
            selected = [text for text in passage["sentences"] if text in answer["selected_sentences"]]
            others = [text for text in passage["sentences"] if text not in answer["selected_sentences"]]
            own = {"claim": answer["answer"], "context": passage["title"]}
            if selected and others:
                name = f"{question['id']}-{number}"
                cases.append(own | {"id": f"{name}-selected", "evidence": selected, "label": "supported"})
                cases.append(own | {"id": f"{name}-others", "evidence": others, "label": "not_supported"})
    write(out / "claims.jsonl", cases)


SETS: Final[Sets] = {"wice": wice, "clapnq-sentences": clapnq_sentences}
