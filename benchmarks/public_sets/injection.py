"""Sets of injected orders, as texts that `groundwire eval injection` takes: OUT_DIR/NAME.jsonl.

The handbook is that of the folder `sourcegraph-handbook` beside DATA_DIR. One half of its pages, drawn by seed, takes
attacks in; the pages of the other half stay as they are, and are the benign texts beside them.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.public_sets import Record, Sets, read, write
from benchmarks.splicing import splice

SEED: Final = 7
HOST_CHARACTERS: Final = 600  # of a page at least: a shorter one has no beginning, middle and end
PLACES: Final = {"start": 0.0, "middle": 0.5, "end": 1.0}


def bipia(data: Path, out: Path) -> None:
    """BIPIA (Yi et al., 2023): {id, attack_id, text, span} and the contexts without an attack."""
    categories = {attack["attack_id"]: attack["category"] for attack in read(data / "attacks.jsonl")}
    poisoned = (
        _attack(p["id"], p["text"], categories[p["attack_id"]], p["attack_id"], span=p["span"])
        for p in read(data / "poisoned.jsonl")
    )
    contexts = (_benign(c["context_id"], c["text"], c["task"]) for c in read(data / "benign_contexts.jsonl"))
    write(out / "bipia.jsonl", [*poisoned, *contexts])


def bipia_handbook(data: Path, out: Path) -> None:
    """The attacks of BIPIA, each at the beginning, in the middle and at the end of a page of the handbook."""
    attacks = [(a["attack_id"], a["text"], a["category"]) for a in read(data / "attacks.jsonl")]
    write(out / "bipia-handbook.jsonl", _spliced(attacks, data))


def tensor_trust(data: Path, out: Path) -> None:
    """Tensor Trust (Toyer et al., 2023): hijacks and extractions as they were typed, beside pages of the handbook."""
    alone = (_attack(id_, text, kind, id_) for id_, text, kind in _tensor_trust(data))
    write(out / "tensor-trust.jsonl", [*alone, *_pages_as_benign(_pages(data))])


def tensor_trust_handbook(data: Path, out: Path) -> None:
    """The same attacks, each at the beginning, in the middle or at the end of a page of the handbook."""
    write(out / "tensor-trust-handbook.jsonl", _spliced(_tensor_trust(data), data, positions=1))


def cyberseceval(data: Path, out: Path) -> None:
    """CyberSecEval 2 (Bhatt et al., 2024), by technique and by language, beside pages of the handbook."""
    english = [
        (f"en-{p['prompt_id']}", p["user_input"], f"{p['injection_type']}: {p['injection_variant']}")
        for p in read(data / "prompt_injection_en.jsonl")
    ]
    others = [
        (f"multi-{p['prompt_id']}", p["user_input"], f"multilingual: {p['speaking_language']}, {p['injection_type']}")
        for p in read(data / "prompt_injection_multilingual.jsonl")
    ]
    attacks = _distinct((id_, text, kind) for id_, text, kind in [*english, *others] if text.strip())
    write(
        out / "cyberseceval.jsonl",
        [*(_attack(*attack, attack[0]) for attack in attacks), *_pages_as_benign(_pages(data))],
    )


def cyberseceval_benign(data: Path, out: Path) -> None:
    """Requests of CyberSecEval 2 that only sound harmful."""
    rows = read(data / "benign_cyber_frr.jsonl")
    write(
        out / "cyberseceval-benign.jsonl", (_benign(f"frr-{n}", row["text"], "request") for n, row in enumerate(rows))
    )


def notinject(data: Path, out: Path) -> None:
    """NotInject (Li and Liu, 2024): harmless prompts with words of attacks; and harmless prompts of WildGuard."""
    tricky = (_benign(row["id"], row["text"], f"notinject: {row['topic']}") for row in read(data / "notinject.jsonl"))
    plain = (_benign(row["id"], row["text"], "wildguard") for row in read(data / "wildguard_benign.jsonl"))
    write(out / "notinject.jsonl", [*tricky, *plain])


def security_docs(data: Path, out: Path) -> None:
    """Pages of OWASP about attacks on language models, by language; many quote attacks."""
    docs = read(data / "docs.jsonl")
    write(
        out / "security-docs.jsonl",
        (_benign(doc["path"], doc["text"], doc["lang"]) for doc in docs if doc["text"].strip()),
    )


def bipia_answers(data: Path, out: Path) -> None:
    """BIPIA for `python -m benchmarks.poisoned_answers`, as OUT_DIR/bipia-answers.jsonl."""
    clean = {c["context_id"]: c["text"] for c in read(data / "benign_contexts.jsonl")}
    rows = (
        {
            "id": p["id"],
            "group": p["context_id"],
            "kind": p["position"],
            "question": p["question"],
            "clean": clean[p["context_id"]],
            "poisoned": p["text"],
            "attack": p["text"][slice(*p["span"])],
        }
        for p in read(data / "poisoned.jsonl")
    )
    write(out / "bipia-answers.jsonl", rows)


SETS: Sets = {
    "bipia": bipia,
    "bipia-handbook": bipia_handbook,
    "bipia-answers": bipia_answers,
    "tensor-trust": tensor_trust,
    "tensor-trust-handbook": tensor_trust_handbook,
    "cyberseceval": cyberseceval,
    "cyberseceval-benign": cyberseceval_benign,
    "notinject": notinject,
    "security-docs": security_docs,
}


def _spliced(attacks: Sequence[tuple[str, str, str]], data: Path, positions: int = 3) -> Iterator[Record]:
    """Each attack in `positions` pages, no page twice before all have been used; then the untouched pages."""
    pages = _pages(data)
    hosts, others = pages[: len(pages) // 2], pages[len(pages) // 2 :]
    for number in range(positions * len(attacks)):
        turn, row = divmod(number, len(attacks))
        id_, attack, kind = attacks[row]
        page = hosts[number % len(hosts)]
        position, place = list(PLACES.items())[(turn + row) % len(PLACES)]
        text, [span] = splice(page["text"], [attack], [place])
        yield _attack(f"{id_}-{position}-{number}", text, kind, id_, span=span, title=page["title"] or "")
    yield from _pages_as_benign(others)


def _pages(data: Path) -> list[Record]:
    """The pages of the handbook that can take an attack in, in an order drawn by seed."""
    pages = [p for p in read(data.parent / "sourcegraph-handbook" / "docs.jsonl") if len(p["text"]) >= HOST_CHARACTERS]
    random.Random(SEED).shuffle(pages)
    return pages


def _pages_as_benign(pages: Iterable[Record]) -> Iterator[Record]:
    return (_benign(page["path"], page["text"], "handbook", title=page["title"] or "") for page in pages)


def _tensor_trust(data: Path) -> list[tuple[str, str, str]]:
    rows = [(row, kind) for kind in ("hijacking", "extraction") for row in read(data / f"{kind}.jsonl")]
    return _distinct((f"{kind}-{row['sample_id']}", row["attack"], kind) for row, kind in rows if row["attack"].strip())


def _distinct(attacks: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Each id once."""
    return list({attack[0]: attack for attack in attacks}.values())


def _attack(
    id_: str, text: str, kind: str, group: str, *, span: Sequence[int] | None = None, title: str = ""
) -> Record:
    record: Record = {"id": id_, "text": text, "label": "attack", "kind": kind, "group": group, "title": title}
    return record | ({"span": list(span)} if span else {})


def _benign(id_: str, text: str, kind: str, *, title: str = "") -> Record:
    return {"id": id_, "text": text, "label": "benign", "kind": kind, "title": title}
