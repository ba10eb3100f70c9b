"""From paths to sources with their tags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.errors import RecordRefused
from ingest.sources import Failure, Source, check_tags, discover, distinct_id, files_gone, from_records, read_tags_file


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), "utf-8")
    return path


def sources(*paths: Path, tags: Path | None = None, **defaults: object) -> dict[str, Source]:
    tags_file = read_tags_file(tags)[0] if tags else None
    return {item.id: item for item in discover(paths, defaults, tags_file) if isinstance(item, Source)}


def failures(*paths: Path, **defaults: object) -> list[Failure]:
    return [item for item in discover(paths, defaults) if isinstance(item, Failure)]


def test_ids_hold_the_folder_and_the_order_is_fixed(tmp_path: Path) -> None:
    """Documents are named from the given folder on; hidden files are left alone."""
    for name in ("b.md", "a/z.md", "a/b.md", ".secret.md", ".git/x.md"):
        write(tmp_path / "docs" / name, "x")
    assert list(sources(tmp_path / "docs")) == ["docs/b.md", "docs/a/b.md", "docs/a/z.md"]


def test_the_more_specific_tag_wins_and_deny_adds_up(tmp_path: Path) -> None:
    """Command, folder, deeper folder, pattern, tags file and record each override field by field, but not `deny`."""
    write(tmp_path / ".access.yaml", "allow: [group:staff]\ndeny: [user:eve]\ndepartment: all")
    write(tmp_path / "hr/.access.yaml", "allow: [group:hr]\nfiles: {'pay*': {classification: confidential}}")
    write(tmp_path / "hr/pay.md", "x")
    write(tmp_path / "hr/r.jsonl", {"id": "r1", "text": "x", "allow": ["user:bob"], "deny": ["user:mal"]})
    tags = write(tmp_path / "tags.jsonl", {"path": "hr/pay.md", "allow": ["role:payroll"]})
    found = sources(tmp_path / "hr", tags=tags, deny=["user:out"], region="eu")
    pay, record = found["hr/pay.md"].tags, found["r1"].tags
    assert pay.allow == {"role:payroll"}
    assert pay.deny == {"user:out", "user:eve"}
    assert (pay.classification.name, pay.department, pay.region) == ("confidential", "all", "eu")
    assert record.allow == {"user:bob"}
    assert record.deny == {"user:out", "user:eve", "user:mal"}


def test_integrity_is_set_wherever_tags_are(tmp_path: Path) -> None:
    """By the command, a folder, a tags file and a record; what nobody says is left to the kind of source."""
    write(tmp_path / "in/.access.yaml", "integrity: external")
    for name in ("in/a.md", "in/b.md", "c.md"):
        write(tmp_path / name, "x")
    write(tmp_path / "in/r.jsonl", {"id": "r1", "text": "x", "integrity": "reviewed"})
    tags = write(tmp_path / "tags.jsonl", {"path": "in/b.md", "integrity": "internal"})
    found = sources(tmp_path / "in", tags=tags) | sources(tmp_path / "c.md")
    assert {name: found[name].tags.integrity for name in found} == {"in/a.md": 0, "in/b.md": 1, "r1": 2, "c.md": None}
    assert {source.tags.integrity for source in sources(tmp_path / "c.md", integrity="external").values()} == {0}


def test_tags_do_not_depend_on_how_a_file_is_reached(tmp_path: Path) -> None:
    """A file ingested alone is guarded by the access files above it as if its folder were ingested."""
    write(tmp_path / "docs/.access.yaml", "allow: [group:hr]")
    write(tmp_path / "docs/deep/a.md", "x")
    (alone,) = sources(tmp_path / "docs/deep/a.md").values()
    (inside,) = sources(tmp_path / "docs").values()
    assert alone.tags == inside.tags
    assert alone.uri == inside.uri


@pytest.mark.parametrize(
    "content", ["allow: [hr]", "alow: [public]", "- a", "files: {'*': {x: 1}}", "allow: [", "files: []"]
)
def test_a_broken_access_file_keeps_its_whole_folder_out(tmp_path: Path, content: str) -> None:
    """Nothing below a broken access file is taken, since what should guard it is unknown; the rest goes on."""
    write(tmp_path / "d/bad/.access.yaml", content)
    write(tmp_path / "d/bad/deep/x.md", "x")
    write(tmp_path / "d/good.md", "x")
    (failure,) = failures(tmp_path / "d")
    assert failure.path.endswith(".access.yaml")
    assert list(sources(tmp_path / "d")) == ["d/good.md"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"text": "x"}, "no_id"),
        ({"id": "", "text": "x"}, "no_id"),
        ({"id": True, "text": "x"}, "no_id"),
        ({"id": ["a"], "text": "x"}, "no_id"),
        ({"id": "a"}, "no_text"),
        ({"id": "a", "text": " "}, "no_text"),
        ({"id": "a", "text": 3}, "no_text"),
        ({"id": "a", "text": "x", "allow": ["hr"]}, "bad_tags"),
        ({"id": "a", "text": "x", "classification": "top"}, "bad_tags"),
        ("{not json", "not_json"),
        ("[1]", "not_json"),
        ('"a"', "not_json"),
        ("[" * 100_000, "not_json"),
    ],
)
def test_a_bad_record_is_named_by_its_line_and_the_rest_goes_on(tmp_path: Path, line: object, code: str) -> None:
    """The error names file and line, and the records around it are taken."""
    file = write(tmp_path / "r.jsonl", {"id": "one", "text": "x"}, line, "", {"id": 3, "text": "y"})
    (failure,) = failures(file)
    assert failure.error.code == code
    assert failure.path == f"{file}:2"
    assert list(sources(file)) == ["one", "3"]


def test_a_path_names_a_record_that_has_no_id(tmp_path: Path) -> None:
    """Exports that name a page by its path are taken as they are."""
    file = write(tmp_path / "r.jsonl", {"path": "a/b.md", "title": "B", "text": "x"})
    assert sources(file)["a/b.md"].title == "B"


def test_a_tags_line_that_names_nothing_is_reported(tmp_path: Path) -> None:
    """A tag that guards nothing is a mistake worth knowing."""
    write(tmp_path / "d/a.md", "x")
    tags, bad = read_tags_file(
        write(tmp_path / "tags.jsonl", {"path": "d/a.md", "allow": ["public"]}, {"path": "d/gone.md", "allow": []})
    )
    list(discover([tmp_path / "d"], {}, tags))
    assert bad == []
    assert [(f.error.item, f.error.code) for f in tags.unused()] == [("d/gone.md", "tags_without_document")]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"allow": ["public"]}, "no_id"),
        ({"id": "a", "alow": []}, "unknown_tag"),
        ({"id": "a", "deny": ["x"]}, "bad_tags"),
    ],
)
def test_a_bad_tags_line_is_reported(tmp_path: Path, line: object, code: str) -> None:
    """A tags line that cannot be used is a failure, not a missing guard."""
    _, bad = read_tags_file(write(tmp_path / "tags.jsonl", line))
    assert [failure.error.code for failure in bad] == [code]


def test_a_missing_path_is_reported(tmp_path: Path) -> None:
    """A path that is not there is named."""
    (failure,) = failures(tmp_path / "none")
    assert failure.error.code == "missing"


def test_a_distinct_id_depends_on_the_source_alone() -> None:
    """Two sources that want one id get different ones, the same on every run."""
    assert distinct_id("a.md", "file:///x/a.md") == distinct_id("a.md", "file:///x/a.md")
    assert distinct_id("a.md", "file:///x/a.md") != distinct_id("a.md", "file:///y/a.md")


def test_files_gone_are_those_below_the_folders(tmp_path: Path) -> None:
    """A vanished file counts only when its folder was ingested; a record never does."""
    kept = write(tmp_path / "d/sp ace.md", "x").as_uri()
    gone, elsewhere = (tmp_path / "d/gé n.md").as_uri(), (tmp_path / "e/gone.md").as_uri()
    assert files_gone([kept, gone, elsewhere, "record:1"], [tmp_path / "d"]) == [gone]


def test_check_tags_names_item_and_field() -> None:
    """The person sees which document and which tag."""
    with pytest.raises(RecordRefused, match=r"a\.md: The tag classification"):
        check_tags("a.md", {"classification": "x"})


@pytest.mark.parametrize(
    "field", [{"id": "a\ud800"}, {"id": "a\0"}, {"source_uri": "\ud800"}, {"owner": "\ud800"}, {"region": "d\0"}]
)
def test_names_that_cannot_be_stored_are_refused(field: dict[str, str]) -> None:
    """Half a character or a control character in a name costs that record, and the rest goes on."""
    bad, good = from_records([{"id": "x", "text": "T.", **field}, {"id": "y", "text": "T."}], {})
    assert isinstance(bad, Failure)
    assert bad.error.code in {"bad_characters", "bad_tags"}
    assert isinstance(good, Source)


def test_a_file_whose_name_is_no_text_is_taken(tmp_path: Path) -> None:
    """Its id shows what could be read of the name."""
    (tmp_path / "caf\udce9\n.md").write_text("# Coffee", "utf-8")
    (source,) = discover([tmp_path], {})
    assert isinstance(source, Source)
    assert source.id == f"{tmp_path.name}/caf\ufffd\ufffd.md"
    assert source.path is not None
    assert source.path.read_text("utf-8") == "# Coffee"
