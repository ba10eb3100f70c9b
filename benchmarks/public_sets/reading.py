"""Sets of questions over passages, and a handbook: collections, golden sets, records."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from benchmarks.public_sets import Record, Sets, read, write


def squad2(data: Path, out: Path) -> None:
    """SQuAD 2.0 (Rajpurkar et al., 2018): {pid, title, text}; {qid, pid, question, answers, unanswerable}."""
    passages = [{"_id": p["pid"], "title": p["title"], "text": p["text"]} for p in read(data / "passages.jsonl")]
    _reading_set(out, passages, list(read(data / "questions.jsonl")))


def xquad(data: Path, out: Path) -> None:
    """XQuAD (Artetxe et al., 2020), one collection a language; the title is the English name of the article."""
    passages, questions = list(read(data / "passages.jsonl")), list(read(data / "questions.jsonl"))
    for language in sorted({passage["lang"] for passage in passages}):
        own = [
            {"_id": p["pid"], "title": p["article"].replace("_", " "), "text": p["text"]}
            for p in passages
            if p["lang"] == language
        ]
        _reading_set(out / language, own, [q for q in questions if q["lang"] == language])


def financebench(data: Path, out: Path) -> None:
    """FinanceBench (Islam et al., 2023): pages as documents, and the files with the page that holds the evidence."""
    questions = list(read(data / "questions.jsonl"))
    pages = [page for page in read(data / "pages.jsonl") if page["text"].strip()]
    corpus = [
        {
            "_id": f"{page['doc_name']}#{page['page'] + 1}",
            "title": page["doc_name"].replace("_", " "),
            "text": page["text"],
        }
        for page in pages
    ]
    held = _within(questions, {page["doc_name"] for page in pages})
    _collection(out / "pages", corpus, held, _evidence_pages(held, ""))
    files = sorted((data / "pdfs").glob("*.pdf"))
    (out / "pdfs" / "corpus").mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(file, out / "pdfs" / "corpus" / file.name)
    held = _within(questions, {file.stem for file in files})
    _collection(out / "pdfs", None, held, _evidence_pages(held, ".pdf"))


def clapnq(data: Path, out: Path) -> None:
    """CLAP NQ (Rosenthal et al., 2024): a long answer is right when it cites one of the sentences people selected."""
    questions = list(read(data / "questions.jsonl"))
    ids: dict[tuple[str, str], str] = {}
    for question in questions:
        for passage in question["passages"]:
            ids.setdefault((passage["title"], passage["text"]), f"passage-{len(ids):04d}")
    corpus = [{"_id": id_, "title": title, "text": text} for (title, text), id_ in ids.items()]
    gold = {q["id"]: [ids[p["title"], p["text"]] for p in q["passages"]] for q in questions if not q["unanswerable"]}
    _collection(out, corpus, [q for q in questions if q["id"] in gold], gold)
    cases = (
        {
            "id": q["id"],
            "question": q["question"],
            "answerable": not q["unanswerable"],
            "reference": [sentence for answer in q["answers"] for sentence in answer["selected_sentences"]],
            "reference_ids": gold.get(q["id"], []),
        }
        for q in questions
    )
    write(out / "golden.jsonl", cases)


def sourcegraph(data: Path, out: Path) -> None:
    """A company's handbook, {path, department, title, text}: what a department wrote is for its group."""
    records = (
        {
            "id": doc["path"],
            "title": doc["title"],
            "text": doc["text"],
            "allow": [f"group:{doc['department']}"],
            "department": doc["department"],
        }
        for doc in read(data / "docs.jsonl")
    )
    write(out / "records.jsonl", records)


SETS: Final[Sets] = {convert.__name__: convert for convert in (squad2, xquad, financebench, clapnq, sourcegraph)}


def _reading_set(out: Path, passages: list[Record], questions: list[Record]) -> None:
    """Questions with short answers, each about one passage."""
    rows = [q | {"id": q["qid"], "answerable": not q.get("unanswerable", False)} for q in questions]
    answerable = [row for row in rows if row["answerable"]]
    _collection(out, passages, answerable, {row["id"]: [row["pid"]] for row in answerable})
    cases = (
        {
            "id": row["id"],
            "question": row["question"],
            "answerable": row["answerable"],
            "reference": sorted({answer["text"] for answer in row["answers"]}) if row["answerable"] else [],
            "reference_ids": [row["pid"]] if row["answerable"] else [],
        }
        for row in rows
    )
    write(out / "golden.jsonl", cases)


def _within(questions: Iterable[Record], documents: set[str]) -> list[Record]:
    """The questions whose evidence lies in these documents."""
    return [q for q in questions if all(e["doc_name"] in documents for e in q["evidence"])]


def _evidence_pages(questions: Iterable[Record], suffix: str) -> dict[str, list[str]]:
    """The pages that hold the evidence, by question; the data counts them from 0."""
    return {q["id"]: sorted({f"{e['doc_name']}{suffix}#{e['page'] + 1}" for e in q["evidence"]}) for q in questions}


def _collection(
    out: Path, corpus: Iterable[Record] | None, questions: Iterable[Record], gold: Mapping[str, Iterable[str]]
) -> None:
    """A folder in the layout of BEIR; without `corpus` its files are there already."""
    if corpus is not None:
        write(out / "corpus.jsonl", corpus)
    write(out / "queries.jsonl", ({"_id": q["id"], "text": q["question"]} for q in questions))
    lines = [f"{query}\t{target}\t1\n" for query, targets in gold.items() for target in targets]
    (out / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), "utf-8")
