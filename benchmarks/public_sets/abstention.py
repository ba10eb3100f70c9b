"""Sets of questions of which some have no answer in what the asker may read: OUT_DIR/records.jsonl, golden.jsonl.

The documents of a hidden case are there, but are denied to the principal who asks it, so that it is asked as if they
were not. A kind with a stroke, as `adversarial/negation`, is also counted under what stands before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.public_sets import Record, Sets, read, write

READER: Final = "reader"  # may read every document
_NO_WORD: Final = re.compile(r"\W+")


def squad2(data: Path, out: Path) -> None:
    """SQuAD 2.0 (Rajpurkar et al., 2018), its adversarial questions by cause; hidden: the article."""
    passages = list(read(data / "passages.jsonl"))
    article = {p["pid"]: p["title"] for p in passages}
    write(out / "records.jsonl", (_record(p["pid"], p["title"], p["text"], [p["title"]]) for p in passages))
    write(out / "golden.jsonl", _with_hidden(map(_squad2_case, read(data / "questions.jsonl")), article))


def clapnq(data: Path, out: Path) -> None:
    """CLAP NQ (Rosenthal et al., 2024): unanswerable ones have a passage that only looks as if; hidden: the passage."""
    questions = list(read(data / "questions.jsonl"))
    passages = {(p["title"], p["text"]): f"passage-{q['id']}" for q in questions for p in q["passages"]}
    write(out / "records.jsonl", (_record(id_, title, text, [id_]) for (title, text), id_ in passages.items()))
    cases = (
        _case(
            q["id"],
            q["question"],
            "misleading" if q["unanswerable"] else "answerable",
            reference=[sentence for answer in q["answers"] for sentence in answer["selected_sentences"]],
            reference_ids=[passages[p["title"], p["text"]] for p in q["passages"]],
        )
        for q in questions
    )
    write(out / "golden.jsonl", _with_hidden(cases, {id_: id_ for id_ in passages.values()}))


def mtrag_un(data: Path, out: Path) -> None:
    """MTRAG-UN (IBM, 2026): the last turns of conversations, asked without them; hidden: the documents of the task."""
    tasks = list(read(data / "tasks.jsonl"))
    texts: dict[str, Record] = {}
    asked: dict[str, list[str]] = {}  # tasks by the document that their passages are from
    for task in tasks:
        for context in task["contexts"]:
            texts.setdefault(context["document_id"], context)
            asked.setdefault(_mtrag_un_document(context["document_id"]), []).append(task["task_id"])
    records = (_record(id_, c["title"] or "", c["text"], asked[_mtrag_un_document(id_)]) for id_, c in texts.items())
    write(out / "records.jsonl", records)
    write(out / "golden.jsonl", (case for task in tasks for case in _mtrag_un_cases(task)))


SETS: Final[Sets] = {"squad2-abstention": squad2, "clapnq-abstention": clapnq, "mtrag-un": mtrag_un}


def _squad2_case(question: Record) -> Record:
    kind = "answerable"
    if question["unanswerable"]:
        kind = f"adversarial/{question.get('cause') or 'unnamed'}"
    references = sorted({answer["text"] for answer in question["answers"]})
    return _case(question["qid"], question["question"], kind, reference=references, reference_ids=[question["pid"]])


def _mtrag_un_document(passage: str) -> str:
    """The id of a passage is that of its document with offsets behind."""
    found = re.match(r"\d+(?=_\d+-)|[^-]+", passage)
    return found[0] if found else passage


def _mtrag_un_cases(task: Record) -> Iterable[Record]:
    kind = task["answerability"][0].lower()
    last, id_ = task["turns"][-1]["text"], task["task_id"]
    contexts = [context["document_id"] for context in task["contexts"]]
    yield _case(id_, last, kind, reference_ids=contexts)
    if kind == "answerable":
        yield _hidden(_case(id_, last, kind), id_)


def _with_hidden(cases: Iterable[Record], group: Mapping[str, str]) -> Iterable[Record]:
    """Each case and, after one that has an answer, the same asked by somebody who may not read what has it."""
    for case in cases:
        yield case
        if case["answerable"]:
            yield _hidden(case, group[case["reference_ids"][0]])


def _case(
    id_: str, question: str, kind: str, *, reference: Iterable[str] = (), reference_ids: Iterable[str] = ()
) -> Record:
    """A case of the kinds `answerable` and `partial` has an answer; what answers the others is left out."""
    answerable = kind in ("answerable", "partial")
    return {
        "id": id_,
        "question": question,
        "answerable": answerable,
        "kind": kind,
        "reference": list(reference) if answerable else [],
        "reference_ids": list(reference_ids) if answerable else [],
        "as_principal": {"subject": READER},
    }


def _hidden(case: Record, group: str) -> Record:
    """`case`, asked by the one principal from whom the documents of `group` are kept."""
    bare = _case(f"{case['id']}-hidden", case["question"], "hidden")
    return bare | {"as_principal": {"subject": _outsider(group)}}


def _record(id_: str, title: str, text: str, groups: Iterable[str]) -> Record:
    denied = [f"user:{_outsider(group)}" for group in dict.fromkeys(groups)]
    return {
        "id": id_,
        "title": title,
        "text": text,
        "allow": ["public"],
        "deny": denied,
        "classification": "public",
    }


def _outsider(group: str) -> str:
    return f"without-{_NO_WORD.sub('-', group)}"
