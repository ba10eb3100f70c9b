"""`groundwire eval` as a user runs it, over a collection and a golden set written here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import groundwire
from ingest.errors import BadInput

PASSAGES = {
    "lighthouse": ("Skarholm lighthouse", "The lighthouse of Skarholm was lit for the first time in 1911 by Ane Torp."),
    "ferry": ("Ferry", "The ferry to Skarholm leaves every weekday at 7:40 from the eastern pier."),
    "bakery": ("Bakery", "The bakery sells rye bread with caraway seeds, and closes on Mondays."),
    "bees": ("Bees", "Beekeepers on the island count forty hives and harvest heather honey in August."),
}
QUESTIONS = {
    "q-light": ("When was the lighthouse lit for the first time?", "lighthouse", "1911"),
    "q-ferry": ("When does the ferry to Skarholm leave?", "ferry", "7:40"),
    "q-bees": ("How many hives do the beekeepers count?", "bees", "forty hives"),
}
METRICS = {"ndcg@10", "recall@1", "recall@10", "recall@100", "mrr@10", "success@10"}


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def groundwire_json(*arguments: object) -> tuple[Result, Any]:
    result = CliRunner().invoke(groundwire, [str(argument) for argument in arguments] + ["--json"])
    return result, json.loads(result.stdout) if result.stdout else None


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("island")
    corpus = [{"_id": id_, "title": title, "text": text} for id_, (title, text) in PASSAGES.items()]
    write_lines(folder / "corpus.jsonl", [*corpus, {"_id": "empty", "title": "", "text": " "}])
    write_lines(folder / "queries.jsonl", [{"_id": id_, "text": q[0]} for id_, q in QUESTIONS.items()])
    qrels = "".join(f"{id_}\t{target}\t1\n" for id_, (_, target, _) in QUESTIONS.items())
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels, "utf-8")
    return folder


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answerable = [
        {"id": id_, "question": question, "answerable": True, "reference": reference, "must_cite": [target]}
        for id_, (question, target, reference) in QUESTIONS.items()
    ]
    stranger = answerable[0] | {"id": "q-stranger", "answerable": False, "as_principal": {"subject": "stranger"}}
    off_topic = {"id": "q-off", "question": "Who chairs the parliament of Uruguay?", "answerable": False}
    return write_lines(tmp_path_factory.mktemp("sets") / "golden.jsonl", [*answerable, stranger, off_topic])


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    corpus = [{"id": id_, "title": title, "text": text} for id_, (title, text) in PASSAGES.items()]
    return write_lines(tmp_path_factory.mktemp("corpus") / "records.jsonl", corpus)


def test_retrieval_reports_each_leg_and_both_fused(home: Path, collection: Path) -> None:
    """Four plain documents are found by every leg: the figures are 1, in the contract's words, with their intervals."""
    result, report = groundwire_json("eval", "retrieval", "--collection", collection, "--home", home)
    assert result.exit_code == 0
    for leg in ("dense", "lexical", "fused"):
        assert report[leg].keys() == METRICS
        assert report[leg]["recall@10"] == 1.0
        assert report["intervals"][leg]["recall@10"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert report["lexical"]["ndcg@10"] == 1.0
    assert report["n"] == 3
    assert report["not_taken"] == {"no_text": 1}
    assert report["errors"] == {}
    assert report["encoder"]
    assert report["rule"]["fusion"]
    assert report["latency_ms"]["p50"] > 0


def test_a_second_run_finds_its_home_again(home: Path, collection: Path) -> None:
    """The corpus is ingested once, into one home of its own below the home; --limit 2 measures two queries."""
    _, report = groundwire_json("eval", "retrieval", "--collection", collection, "--home", home, "--limit", 2)
    assert report["n"] == 2
    assert len(list((home / "evals").glob(f"{collection.name}-*"))) == 1
    assert not (home / "ledger.db").exists()


def test_pages_of_a_file_are_ranked(home: Path, tmp_path: Path) -> None:
    """At page level the page of a PDF that holds the answer is found, counted from 1."""
    from reportlab.pdfgen.canvas import Canvas

    (tmp_path / "pages" / "corpus").mkdir(parents=True)
    canvas = Canvas(str(tmp_path / "pages" / "corpus" / "island.pdf"))
    for _, text in PASSAGES.values():
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    write_lines(tmp_path / "pages" / "queries.jsonl", [{"_id": "q", "text": QUESTIONS["q-bees"][0]}])
    (tmp_path / "pages" / "qrels.tsv").write_text("q\tisland.pdf#4\t1\n", "utf-8")
    arguments = ("eval", "retrieval", "--collection", tmp_path / "pages", "--home", home, "--level", "page")
    _, report = groundwire_json(*arguments)
    assert report["level"] == "page"
    assert report["lexical"]["success@10"] == report["fused"]["success@10"] == 1.0


def test_a_broken_collection_stops_before_anything_is_made(tmp_path: Path) -> None:
    """A collection without qrels is bad input, and no home is made for it."""
    (tmp_path / "half").mkdir()
    write_lines(tmp_path / "half" / "corpus.jsonl", [{"_id": "a", "text": "b"}])
    write_lines(tmp_path / "half" / "queries.jsonl", [{"_id": "q", "text": "b"}])
    result, _ = groundwire_json("eval", "retrieval", "--collection", tmp_path / "half", "--home", tmp_path / "home")
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == "missing_qrels"
    assert not (tmp_path / "home").exists()


def test_answers_are_asked_as_their_principal_and_judged(
    home: Path, golden: Path, records: Path, tmp_path: Path
) -> None:
    """The owner gets cited answers; a stranger and a question of something else get none; every quote is as stored."""
    cases = tmp_path / "cases.jsonl"
    arguments = ("eval", "answers", "--set", golden, "--corpus", records, "--home", home, "--as", "ane")
    result, report = groundwire_json(*arguments, "--cases", cases)
    assert result.exit_code == 0
    by_id = {line["id"]: line for line in map(json.loads, cases.read_text("utf-8").splitlines())}
    assert by_id.keys() == {*QUESTIONS, "q-stranger", "q-off"}
    assert by_id["q-stranger"]["status"] == "abstained"
    assert by_id["q-stranger"]["cited"] == []
    assert by_id["q-light"]["cited"] == ["lighthouse"]
    assert by_id["q-light"]["correct"] is True
    assert report["n"] == 5
    assert report["answerable"] == 3
    assert report["errors"] == {}
    assert report["citations"]["checked"] == sum(line["citations"] for line in by_id.values()) > 0
    assert report["citations"]["mismatches"] == 0
    assert report["citations_equal"]["value"] == 1.0
    assert report["auroc"]["value"] == 1.0


def test_the_home_itself_can_be_asked(golden: Path, records: Path, tmp_path: Path) -> None:
    """Without --corpus the documents of the home answer."""
    groundwire_json("ingest", records, "--owner", "ane", "--home", tmp_path)
    _, report = groundwire_json("eval", "answers", "--set", golden, "--home", tmp_path, "--as", "ane", "--limit", 1)
    assert report["n"] == 1
    assert report["answered"] == 1
    assert not (tmp_path / "evals").exists()


def test_a_question_that_cannot_be_asked_is_counted(home: Path, records: Path, tmp_path: Path) -> None:
    """An empty question is an error of its case: the others are asked, and the exit code is 1."""
    cases = [
        {"id": "empty", "question": " ", "answerable": False},
        {"id": "q", "question": "bread?", "answerable": True},
    ]
    broken = write_lines(tmp_path / "golden.jsonl", cases)
    arguments = ("eval", "answers", "--set", broken, "--corpus", records, "--home", home, "--as", "ane")
    result, report = groundwire_json(*arguments)
    assert result.exit_code == 1
    assert report["errors"] == {"empty_question": 1}
    assert report["n"] == 2


def test_people_get_tables(home: Path, collection: Path, golden: Path, records: Path) -> None:
    """Without --json both commands print their figures for a person to read."""
    retrieval = CliRunner().invoke(
        groundwire, ["eval", "retrieval", "--collection", str(collection), "--home", str(home)]
    )
    assert "fused" in retrieval.stdout
    assert "ndcg@10" in retrieval.stdout
    answers = CliRunner().invoke(
        groundwire,
        ["eval", "answers", "--set", str(golden), "--corpus", str(records), "--home", str(home), "--as", "ane"],
    )
    assert "answered correctly" in answers.stdout
    assert "0 not as stored" in answers.stdout
