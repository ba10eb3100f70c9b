"""What the samples promise: documents that can be rebuilt, tags that hold, and a golden set borne out by documents."""

from __future__ import annotations

import csv
import email
import email.policy
import html
import json
import re
import runpy
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingest.sources import Failure, Source, discover, read_tags_file
from retrieval.access import Principal, ReadScope, read_scope

SAMPLES = Path(__file__).parents[3] / "samples"
COMPANY = SAMPLES / "company"
TODAY = date(2026, 11, 20)  # the day on which the story of the samples is told
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\U000e0000-\U000e007f]")
DOCUMENTS = sorted(path.relative_to(SAMPLES).as_posix() for path in COMPANY.rglob("[!.]*") if path.is_file())


def json_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]


GOLDEN = json_lines("golden.jsonl")
TRAPS = json_lines("traps.jsonl")


@cache
def visible_text(document: str) -> str:
    """The text of a document with white space folded, as a person sees it (but for hidden ink, which stays)."""
    return folded(INVISIBLE.sub("", text_of(SAMPLES / document, hidden=False)))


def folded(text: str) -> str:
    return " ".join(text.split())


def text_of(path: Path, *, hidden: bool) -> str:
    """The text of a file, read with nothing of Groundwire; `hidden` adds hidden sheets, slides and runs."""
    match path.suffix:
        case ".docx":
            return "\n".join(docx_text(path, hidden=hidden))
        case ".pptx":
            return "\n".join(pptx_text(path, hidden=hidden))
        case ".xlsx":
            return "\n".join(xlsx_text(path, hidden=hidden))
        case ".pdf":
            return "\n".join(pdf_pages(path))
        case ".eml":
            message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
            body = message.get_body(("plain",))
            assert body is not None
            return f"{message['subject']}\n{body.get_content()}"
        case ".html":
            return html.unescape(re.sub(r"<[^>]+>", " ", path.read_text("utf-8")))
        case _:
            return path.read_text("utf-8")


def docx_text(path: Path, *, hidden: bool) -> Iterator[str]:
    from docx import Document

    document = Document(str(path))
    for paragraph in document.paragraphs:
        yield "".join(run.text for run in paragraph.runs if hidden or not run.font.hidden)
    for table in document.tables:
        yield from (" | ".join(cell.text for cell in row.cells) for row in table.rows)


def pptx_text(path: Path, *, hidden: bool) -> Iterator[str]:
    from pptx import Presentation

    for slide in Presentation(str(path)).slides:
        if not hidden and slide._element.get("show") == "0":
            continue
        for shape in slide.shapes:
            if shape.has_text_frame:
                yield shape.text_frame.text
            if shape.has_table:
                yield from (" | ".join(cell.text for cell in row.cells) for row in shape.table.rows)


def xlsx_text(path: Path, *, hidden: bool) -> Iterator[str]:
    from openpyxl import load_workbook

    for sheet in load_workbook(path).worksheets:
        if hidden or sheet.sheet_state == "visible":
            yield sheet.title
            yield from (" | ".join("" if cell is None else str(cell) for cell in row) for row in sheet.values)


def pdf_pages(path: Path) -> list[str]:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return [page.get_textpage().get_text_bounded() for page in document]


def readable(principal: dict[str, Any], document: str) -> bool:
    return scope_of(principal).permits(tags_by_document()[document].tags)


def scope_of(principal: dict[str, Any]) -> ReadScope:
    from ingest.tags import Classification

    return read_scope(
        Principal(
            subject=principal["subject"],
            groups=frozenset(principal["groups"]),
            roles=frozenset(principal["roles"]),
            clearance=Classification.parse(principal["clearance"]),
            regions=frozenset(principal.get("regions", [])),
        ),
        today=TODAY,
    )


@cache
def tags_by_document() -> dict[str, Source]:
    tags, failures = read_tags_file(SAMPLES / "tags.jsonl")
    found = list(discover([COMPANY], {}, tags))
    assert not failures
    assert not [item for item in [*found, *tags.unused()] if isinstance(item, Failure)]
    return {item.id: item for item in found if isinstance(item, Source)}


def test_every_document_has_readers() -> None:
    """Each document has tags that AccessTags takes, and somebody whom they let in; every line of tags.jsonl is used."""
    sources = tags_by_document()
    assert sorted(sources) == DOCUMENTS
    assert not [name for name, source in sources.items() if not source.tags.readers]


def test_all_formats_are_there() -> None:
    """About fifty documents, in each of the nine formats that people have, and at least two of each."""
    suffixes = [Path(name).suffix for name in DOCUMENTS]
    assert len(DOCUMENTS) >= 45
    assert set(suffixes) == {".md", ".html", ".docx", ".pptx", ".xlsx", ".csv", ".eml", ".txt", ".pdf"}
    assert min(suffixes.count(suffix) for suffix in suffixes) >= 2


def test_samples_stay_small() -> None:
    """Everything in samples/ together is below 2 MB."""
    files = [*SAMPLES.glob("*.*"), *COMPANY.rglob("*"), *(SAMPLES / "source").rglob("*")]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 2_000_000


def test_handbook_is_long() -> None:
    """The employee handbook has more than ten pages, each with text and its number, so that cited pages matter."""
    pages = pdf_pages(COMPANY / "hr/employee-handbook.pdf")
    assert len(pages) > 10
    assert all(f"Page {number}" in text and len(text) > 300 for number, text in enumerate(pages, start=1))


def test_committed_files_are_what_the_source_builds(tmp_path: Path) -> None:
    """build.py makes the committed documents: the same files with the same text, hidden parts included."""
    written = runpy.run_path(str(SAMPLES / "build.py"))["build"](tmp_path)
    built = {path.relative_to(tmp_path) for path in written}
    assert built == {
        path.relative_to(COMPANY) for path in COMPANY.rglob("*") if path.suffix in {".docx", ".pptx", ".xlsx", ".pdf"}
    }
    for name in built:
        assert text_of(tmp_path / name, hidden=True) == text_of(COMPANY / name, hidden=True), name


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """No clock and no chance goes into a built file."""
    build = runpy.run_path(str(SAMPLES / "build.py"))["build"]
    first, second = build(tmp_path / "first"), build(tmp_path / "second")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_golden_ids_are_unique_and_enough() -> None:
    """At least 45 cases, each with an id of its own, and a good part of them without an answer."""
    ids = [case["id"] for case in GOLDEN]
    assert len(ids) == len(set(ids)) >= 45
    assert sum(not case["answerable"] for case in GOLDEN) >= 15


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["id"])
def test_golden_case_is_borne_out(case: dict[str, Any]) -> None:
    """An answerable case's reference stands word for word in each document named for it, which its principal may read;
    a case without an answer names none.
    """
    allowed = {
        "id",
        "question",
        "answerable",
        "reference",
        "reference_ids",
        "must_cite",
        "must_not_cite",
        "as_principal",
    }
    assert case.keys() <= allowed
    assert case["question"].strip()
    assert {*case.get("reference_ids", []), *case.get("must_not_cite", [])} <= set(DOCUMENTS)
    assert case["as_principal"].keys() <= {"subject", "groups", "roles", "clearance", "regions"}
    if not case["answerable"]:
        assert not case.keys() & {"reference", "reference_ids", "must_cite"}
        return
    assert case["reference_ids"]
    assert case.get("must_cite", case["reference_ids"]) == case["reference_ids"]
    assert not set(case["reference_ids"]) & set(case.get("must_not_cite", []))
    for document in case["reference_ids"]:
        assert case["reference"] in visible_text(document)
        assert readable(case["as_principal"], document)


def test_a_refused_question_is_answered_for_somebody_else() -> None:
    """Each document that a case must not cite because its principal may not read it, is readable by another principal;
    so the case tests the scope, not an orphan. The time capsule, which nobody may read yet, is the exception.
    """
    principals = {json.dumps(case["as_principal"]): case["as_principal"] for case in GOLDEN}.values()
    hidden_from_someone = {
        document
        for case in GOLDEN
        for document in case.get("must_not_cite", [])
        if not readable(case["as_principal"], document)
    }
    nobody = {doc for doc in hidden_from_someone if not any(readable(principal, doc) for principal in principals)}
    assert nobody == {"company/archive/time-capsule.txt", "company/public/returns-policy-2024.md"}
    assert len(hidden_from_someone) >= 12


def test_one_subject_is_one_principal() -> None:
    """A name stands for the same groups, roles and clearance in every case."""
    by_name: dict[str, dict[str, Any]] = {}
    for case in GOLDEN:
        assert by_name.setdefault(case["as_principal"]["subject"], case["as_principal"]) == case["as_principal"]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: f"{trap['path']}-{trap['kind']}")
def test_trap_is_in_its_document(trap: dict[str, Any]) -> None:
    """The file holds the trap's text; a hidden sheet, slide, run or code point is not in what a person sees."""
    path = SAMPLES / trap["path"]
    content = text_of(path, hidden=True)
    if trap.get("reason") == "invisible_code_points":
        content = "".join(chr(ord(c) - 0xE0000) for c in content if 0xE0020 <= ord(c) <= 0xE007E)
    if path.suffix == ".csv":
        content = " ".join(cell for row in csv.reader(content.splitlines()) for cell in row)
    assert trap["text"] in folded(content.replace(" | ", " "))
    if trap.get("reason") in {"hidden_part", "invisible_mode", "invisible_code_points"}:
        assert trap["text"] not in visible_text(trap["path"])


def test_white_ink_is_white() -> None:
    """The hidden sentence of the agreement about Heron is drawn in the colour of the paper, and nothing else is."""
    import pypdfium2.raw as pdfium
    from pypdfium2 import PdfDocument

    with PdfDocument(COMPANY / "legal/nda-heron.pdf") as document:
        page = document[0].get_textpage()
        text = page.get_text_range()
        white = "".join(text[index] for index in range(page.count_chars()) if fill_colour(pdfium, page, index) == WHITE)
    assert "the secrecy ended on 1 January 2026" in folded(white)
    assert "What is secret" not in white


WHITE = (255, 255, 255)


def fill_colour(pdfium: Any, page: Any, index: int) -> tuple[int, int, int]:
    from ctypes import c_uint

    red, green, blue, alpha = (c_uint() for _ in range(4))
    pdfium.FPDFText_GetFillColor(page, index, red, green, blue, alpha)
    return red.value, green.value, blue.value


def test_personal_data_is_invented() -> None:
    """Addresses are at example domains, cards and accounts are published test numbers, telephones are reserved ones."""
    accounts = {"DE89370400440532013000", "GB82WEST12345698765432", "GB33BUKB20201555555555"}
    for name in DOCUMENTS:
        text = visible_text(name)
        domains = re.findall(r"[\w.+-]+@([\w.-]+\w)", text)
        assert not [domain for domain in domains if not re.fullmatch(r"(.+\.)?example(\.com)?", domain)], name
        phones = re.findall(r"\+\d\d[\d ]{8,}\d", text)
        assert not [phone for phone in phones if not re.match(r"\+44 1632 960 \d{3}$|\+49 30 23125 \d{3}$", phone)], (
            name
        )
        ibans = re.findall(r"\b[A-Z]{2}\d{2} ?[A-Z0-9]{4} ?[\d ]{11,24}\d", text)
        assert {iban.replace(" ", "") for iban in ibans} <= accounts, name
        cards = re.findall(r"\b\d{4} \d{4} \d{4} \d{4}\b(?! ?\d)", text)
        assert not [card for card in cards if card != "4111 1111 1111 1111" and card not in " ".join(ibans)], name
