"""From a llama-index reader to sources with their tags."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from ingest.readers import METADATA_TAGS, ReaderConfig, read, reader_config
from ingest.sources import Failure, Source

SHELF = '''
from llama_index.core import Document
from llama_index.core.readers.base import BaseReader

class Shelf(BaseReader):
    """Yields documents one by one and breaks after `breaks_after` of them."""

    def __init__(self, breaks_after=None):
        self.breaks_after = breaks_after

    def lazy_load_data(self, documents=()):
        for number, fields in enumerate(documents):
            if number == self.breaks_after:
                raise ConnectionError("the shelf fell over\\nand then some")
            yield Document(**fields)

class AtOnce(BaseReader):
    def load_data(self, documents=()):
        return [Document(**fields) for fields in documents]

class Duck:
    """Knows nothing of llama-index, and yields no documents."""

    def load_data(self):
        return ["a text", None]

class Closed:
    def load_data(self):
        raise PermissionError("401")

class Broken:
    def __init__(self):
        raise KeyError("SHELF_TOKEN")

    def load_data(self):
        return []

class NoReader:
    pass

lowercase = 7
'''


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of readers that can be imported."""
    (tmp_path / "groundwire_shelf.py").write_text(SHELF, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "groundwire_shelf", raising=False)


def reader(name: str = "Shelf", *documents: dict[str, Any], tags: Any = (), **init: Any) -> ReaderConfig:
    load = {"documents": list(documents)} if documents else {}
    return ReaderConfig(name=f"groundwire_shelf:{name}", init=init, load=load, tags=frozenset(tags))


def taken(config: ReaderConfig, **defaults: Any) -> list[Source]:
    found = list(read(config, defaults or {"allow": ["public"]}))
    assert all(isinstance(item, Source) for item in found), found
    return [item for item in found if isinstance(item, Source)]


def codes(config: ReaderConfig, **defaults: Any) -> list[str]:
    """Ids of what is taken and codes of what is not, in their order."""
    found = read(config, defaults or {"allow": ["public"]})
    return [item.error.code if isinstance(item, Failure) else item.id for item in found]


def refused(config: ReaderConfig, **defaults: Any) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read(config, defaults)
    return caught.value


def test_a_document_becomes_a_source_under_its_own_id() -> None:
    """Id, text and title are the document's; the URI names the reader, the class and the id; the tags are given."""
    document = {"id_": "plan", "text": "Be quick.", "metadata": {"title": "The plan", "allow": ["user:eve"]}}
    (source,) = taken(reader("Shelf", document), allow=["group:staff"], deny=["user:mal"])
    assert (source.id, source.text, source.title, source.path) == ("plan", "Be quick.", "The plan", None)
    assert source.uri == "reader:groundwire_shelf:Shelf:plan"
    assert (source.tags.allow, source.tags.deny) == ({"group:staff"}, {"user:mal"})


def test_metadata_sets_only_the_tags_that_the_operator_names() -> None:
    """A named field takes the place of the command's, `deny` adds up, and what is not named counts for nothing."""
    metadata = {"allow": ["user:bob"], "deny": "user:al", "classification": "public", "owner": "eve", "tenant": "x"}
    document = {"id_": "plan", "text": "x", "metadata": metadata}
    given = {"allow": ["public"], "deny": ["user:mal"], "classification": "confidential"}
    (source,) = taken(reader("Shelf", document, tags=["allow", "deny"]), **given)
    assert source.tags.allow == {"user:bob"}
    assert source.tags.deny == {"user:mal", "user:al"}
    assert (source.tags.classification.name, source.tags.owner, source.tags.tenant) == ("confidential", None, "default")


def test_metadata_tags_that_cannot_be_used_cost_the_document_and_not_its_guard() -> None:
    """A bad token, and a list of nobody, refuse the document; it is not taken with the command's tags instead."""
    bad = [
        {"id_": "token", "text": "x", "metadata": {"allow": ["everybody!"]}},
        {"id_": "nobody", "text": "x", "metadata": {"allow": []}},
        {"id_": "default", "text": "x"},
    ]
    assert codes(reader("Shelf", *bad, tags=["allow"])) == ["bad_tags", "no_access_tags", "default"]


def test_tags_are_required_before_anything_is_read() -> None:
    """With no reader named, nothing is imported; tags of the metadata count as tags, and then each document's do."""
    assert refused(reader("Broken")).code == "no_access_tags"
    assert refused(reader("Broken"), deny=["user:eve"], allow=[]).code == "no_access_tags"
    documents = [{"id_": "one", "text": "x", "metadata": {"allow": "public"}}, {"id_": "two", "text": "x"}]
    assert codes(reader("Shelf", *documents, tags=["allow"]), department="hr") == ["one", "no_access_tags"]


def test_an_id_that_llama_index_made_up_is_never_used() -> None:
    """Where the reader sets none, the place that the metadata names stands in, parts counted on; else it is refused."""
    path = {"metadata": {"file_path": "/d/a.pdf", "file_name": "a.pdf"}}
    documents = [
        {"text": "page one", **path},
        {"text": "no origin", "metadata": {"author": "ann"}},
        {"text": "page two", **path},
        {"text": "a page", "metadata": {"URL": "https://a.example/x"}},
    ]
    wanted = ["/d/a.pdf", "no_id", "/d/a.pdf#2", "https://a.example/x"]
    assert codes(reader("Shelf", *documents)) == wanted
    assert codes(reader("Shelf", *documents)) == wanted  # with other random ids: the same documents again


def test_a_random_looking_id_that_the_source_knows_is_its_own() -> None:
    """Systems that name their pages by UUIDs keep them."""
    own = str(uuid.uuid4())
    documents = [
        {"id_": own, "text": "x", "metadata": {"page_id": own, "url": "https://a.example"}},
        {"id_": str(uuid.uuid5(uuid.NAMESPACE_URL, "a")), "text": "x"},
    ]
    assert codes(reader("Shelf", *documents)) == [own, str(uuid.uuid5(uuid.NAMESPACE_URL, "a"))]


@given(st.lists(st.sampled_from(["/a", "/b", "/c"]), max_size=12))
def test_parts_of_one_place_have_distinct_ids(places: list[str]) -> None:
    """However the documents of several places are mixed, no two of a run share an id."""
    config = reader("AtOnce", *({"text": "x", "metadata": {"file_path": place}} for place in places))
    ids = codes(config)
    assert len(set(ids)) == len(places)
    assert sorted(one.split("#")[0] for one in ids) == sorted(places)


def test_documents_come_one_by_one_where_the_reader_can() -> None:
    """The first document is there before the reader breaks on the second."""
    documents = [{"id_": str(number), "text": "x"} for number in range(3)]
    stream = read(reader("Shelf", *documents, breaks_after=1), {"owner": "ann"})
    first = next(stream)
    assert isinstance(first, Source)
    assert first.id == "0"


def test_a_reader_that_breaks_on_the_way_keeps_what_came_before() -> None:
    """What was read is taken, and the failure says after how much, and why, in one line."""
    documents = [{"id_": str(number), "text": "x"} for number in range(5)]
    found = list(read(reader("Shelf", *documents, breaks_after=2), {"owner": "ann"}))
    assert [item.id for item in found if isinstance(item, Source)] == ["0", "1"]
    assert isinstance(found[-1], Failure)
    assert found[-1].error.code == "reader_failed"
    assert "after 2 documents (ConnectionError: the shelf fell over)" in found[-1].error.cause


def test_what_a_reader_cannot_give_is_told_and_the_rest_goes_on() -> None:
    """No text, no document, no way in, wrong arguments: each has its code, and none raises."""
    documents = [{"id_": "empty", "text": ""}, {"id_": "full", "text": "x"}]
    assert codes(reader("AtOnce", *documents)) == ["no_text", "full"]
    assert codes(reader("Duck")) == ["not_a_document", "not_a_document"]
    assert codes(reader("Closed")) == ["reader_failed"]
    wrong = ReaderConfig(name="groundwire_shelf:Shelf", load={"shelves": 2})
    assert codes(wrong) == ["reader_failed"]


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("groundwire_shelf:Missing", "reader_not_found", "no reader Missing"),
        ("groundwire_shelf:NoReader", "reader_not_found", "with load_data"),
        ("groundwire_shelf:lowercase", "reader_not_found", "with load_data"),
        ("groundwire_no_such_module:Reader", "reader_not_found", "ModuleNotFoundError"),
        ("groundwire_shelf:Broken", "reader_failed", "SHELF_TOKEN"),
    ],
)
def test_a_reader_that_cannot_be_had_is_bad_input(name: str, code: str, says: str) -> None:
    """Each error names the reader, the cause and a next step."""
    error = refused(ReaderConfig(name=name), allow=["public"])
    assert (error.item, error.code) == (name, code)
    assert says in error.cause
    assert error.next_step


@pytest.mark.parametrize(
    "name", ["", "module", "module:", ":Class", "a/b.py:Class", "m:C:D", "m:C.D", "m C", "m:C()", "..m:C"]
)
def test_a_name_of_another_form_is_refused(name: str) -> None:
    """Only module:Class is imported."""
    with pytest.raises(BadInput, match=r"package\.module:Class"):
        reader_config(name)


@pytest.mark.parametrize("arguments", ["", "[]", "{", '{"input_dir": "/x"}', '{"init": 1}', "[" * 100_000])
def test_arguments_of_another_shape_are_refused(arguments: str) -> None:
    """The error shows the shape that is wanted."""
    with pytest.raises(BadInput, match=r'\{"init": \{…\}, "load": \{…\}\}'):
        reader_config("m:C", arguments)


def test_arguments_go_to_the_class_and_to_its_load() -> None:
    """Either part may be left out."""
    config = reader_config("m:C", '{"init": {"a": 1}, "load": {"b": [2]}}', ["allow"])
    assert (config.init, config.load, config.tags) == ({"a": 1}, {"b": [2]}, {"allow"})
    assert reader_config("m:C") == ReaderConfig(name="m:C")


@pytest.mark.parametrize("tag", ["tenant", "colour"])
def test_metadata_may_not_choose_a_tenant_or_what_is_no_tag(tag: str) -> None:
    """The error lists what may be chosen."""
    with pytest.raises(BadInput, match=", ".join(sorted(METADATA_TAGS))):
        reader_config("m:C", "{}", ["allow", tag])


def test_readers_need_no_llama_index_of_ours() -> None:
    """Importing the module imports nothing of llama-index: the reader brings what it needs."""
    code = "import sys, ingest.readers; sys.exit(any(name.startswith('llama_index') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0
