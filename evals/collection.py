"""A collection to measure retrieval on, in the layout of BEIR (Thakur et al., 2021).

    corpus.jsonl            {"_id", "title", "text"} a line; or a folder `corpus/` with files instead
    queries.jsonl           {"_id", "text"} a line
    qrels.tsv               query-id, corpus-id, score, with a header; or qrels/test.tsv

Over a folder of files the corpus-id is the file's path below `corpus/`, and at page level that path, `#` and the page,
which counts from 1. Other fields of a record are ignored. Queries without a relevant document are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from evals.json_lines import read_json_lines
from ingest.errors import BadInput

Level = Literal["document", "page"]

_LAYOUT = "Lay the folder out as BEIR does: corpus.jsonl or corpus/, queries.jsonl, qrels.tsv."


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question with what is relevant to it."""

    id: str
    text: str
    gains: Mapping[str, float]  # relevance, greater than 0, of documents or pages by corpus-id


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """Documents, and queries over them. Made by `read_collection`."""

    name: str
    corpus: Path  # corpus.jsonl, or the folder with the files
    level: Level  # what a corpus-id names
    documents: int
    queries: tuple[Query, ...]  # those that have something relevant, in the order of their file

    def records(self) -> Iterator[dict[str, str]]:
        """The documents of corpus.jsonl, as the ingest takes records: {id, title, text}."""
        for place, record in read_json_lines(self.corpus):
            title, text = str(record.get("title") or ""), str(record.get("text") or "")
            yield {"id": _text(place, record, "_id"), "title": title, "text": text if text.strip() else title}


def read_collection(folder: Path, level: Level = "document") -> Collection:
    """The collection in `folder`. Raises BadInput for what is missing in it or contradicts itself."""
    corpus = _corpus(folder, level)
    ids = _document_ids(corpus)
    texts = _queries(folder / "queries.jsonl")
    gains = _gains(_qrels(folder), texts, ids, level)
    queries = tuple(Query(id=id_, text=text, gains=gains[id_]) for id_, text in texts.items() if id_ in gains)
    if not queries:
        _refuse(folder, "no_queries", "No query has a relevant document.", "Check queries.jsonl against qrels.tsv.")
    return Collection(name=folder.resolve().name, corpus=corpus, level=level, documents=len(ids), queries=queries)


def _corpus(folder: Path, level: Level) -> Path:
    records, files = folder / "corpus.jsonl", folder / "corpus"
    if records.is_file() and files.is_dir():
        _refuse(folder, "two_corpora", "There are both corpus.jsonl and corpus/.", "Leave one of them.")
    if not records.is_file() and not files.is_dir():
        _refuse(folder, "missing_corpus", "There is neither corpus.jsonl nor corpus/.", _LAYOUT)
    if level == "page" and not files.is_dir():
        cause = "Records have no pages."
        _refuse(folder, "no_pages", cause, "Put the files in corpus/, or measure at document level.")
    return records if records.is_file() else files


def _document_ids(corpus: Path) -> set[str]:
    if corpus.is_dir():
        files = (path.relative_to(corpus) for path in corpus.rglob("*") if path.is_file())
        return {path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts)}
    ids: set[str] = set()
    for place, record in read_json_lines(corpus):
        id_ = _text(place, record, "_id")
        if id_ in ids:
            _refuse(place, "duplicate_id", f"The document {id_} came before.", "Give each document an id of its own.")
        ids.add(id_)
    return ids


def _queries(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for place, record in read_json_lines(path):
        id_ = _text(place, record, "_id")
        if id_ in texts:
            _refuse(place, "duplicate_id", f"The query {id_} came before.", "Give each query an id of its own.")
        texts[id_] = _text(place, record, "text")
    return texts


def _qrels(folder: Path) -> Path:
    found = [path for path in (folder / "qrels.tsv", folder / "qrels" / "test.tsv") if path.is_file()]
    if len(found) != 1:
        cause = "There are both qrels.tsv and qrels/test.tsv." if found else "There is no qrels.tsv."
        _refuse(folder, "two_qrels" if found else "missing_qrels", cause, _LAYOUT)
    return found[0]


def _gains(path: Path, queries: Mapping[str, str], documents: set[str], level: Level) -> dict[str, dict[str, float]]:
    gains: dict[str, dict[str, float]] = {}
    seen: dict[tuple[str, str], float] = {}
    for place, query, target, score in _judgements(path):
        if query not in queries:
            _refuse(place, "unknown_query", f"There is no query {query}.", "Add it to queries.jsonl.")
        if _document(place, target, level) not in documents:
            _refuse(place, "unknown_document", f"The corpus has no document for {target}.", "Add it to the corpus.")
        if seen.setdefault((query, target), score) != score:
            cause = f"The query {query} and {target} were judged otherwise before."
            _refuse(place, "contradiction", cause, "Leave one of the lines.")
        if score > 0:
            gains.setdefault(query, {})[target] = score
    return gains


def _judgements(path: Path) -> Iterator[tuple[str, str, str, float]]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = f"The file cannot be read ({error})."
        raise BadInput(str(path), "missing_file", cause, "Write it as UTF-8 text.") from error
    for number, line in enumerate(lines, start=1):
        place, columns = f"{path}:{number}", line.split("\t")
        if not line.strip() or (number == 1 and columns[0] == "query-id"):
            continue
        try:
            query, target, score = columns
            if not math.isfinite(float(score)):
                raise ValueError(score)
        except ValueError:
            step = "Write query-id, corpus-id and score with tabs between."
            _refuse(place, "bad_qrel", "The line has no query-id, corpus-id and score.", step)
        yield place, query, target, float(score)


def _document(place: str, target: str, level: Level) -> str:
    """The document that a corpus-id of this level names."""
    if level == "document":
        return target
    name, mark, page = target.rpartition("#")
    if not mark or not page.isdecimal() or int(page) < 1:
        _refuse(place, "bad_page", f"{target} names no page.", "Write NAME.pdf#PAGE; pages count from 1.")
    return name


def _text(place: str, record: Mapping[str, object], field: str) -> str:
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        _refuse(place, "missing_field", f"The line has no {field}.", f'Give each line its "{field}".')
    return str(value)


def _refuse(item: object, code: str, cause: str, next_step: str) -> NoReturn:
    raise BadInput(str(item), code, cause, next_step)
