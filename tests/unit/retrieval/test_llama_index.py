"""Search as a llama-index retriever."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import MetadataMode, NodeRelationship, NodeWithScore, QueryBundle, TextNode

from ingest.errors import DependencyDown
from retrieval.access import Principal, ReadScope, read_scope
from retrieval.evidence import Hit, Passage
from retrieval.llama_index import GroundwireRetriever, text_node
from retrieval.search import Retriever

PASSAGE = Passage(
    chunk_id="c1",
    document_id="handbook",
    version=3,
    title="Handbook",
    source_uri="file:///srv/handbook.pdf",
    text="Meals are paid.",
    start=40,
    end=55,
    page=2,
    page_end=2,
    headings=("Travel", "Meals"),
)
SCOPE = read_scope(Principal(subject="rita"))


class OneHit:
    """Finds one passage, and keeps what it was asked and in which thread."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ReadScope, dict[str, Any]]] = []
        self.threads: list[int] = []

    async def search(self, question: str, scope: ReadScope, **rest: Any) -> list[Hit]:
        self.calls.append((question, scope, rest))
        self.threads.append(threading.get_ident())
        await asyncio.sleep(0)
        return [Hit(passage=PASSAGE, score=0.5, legs={})]


def made(search: OneHit, **options: Any) -> GroundwireRetriever:
    return GroundwireRetriever(cast("Retriever", search), SCOPE, **options)


def test_a_passage_is_a_text_node_with_our_offsets() -> None:
    """Ids, offsets and what a citation needs are on the node, flat; its source is the document."""
    node = text_node(PASSAGE)
    assert isinstance(node, TextNode)
    assert (node.id_, node.text, node.start_char_idx, node.end_char_idx) == ("c1", "Meals are paid.", 40, 55)
    assert node.metadata == {
        "document_id": "handbook",
        "version": 3,
        "title": "Handbook",
        "source_uri": "file:///srv/handbook.pdf",
        "page": 2,
        "page_end": 2,
        "headings": "Travel > Meals",
    }
    assert node.relationships[NodeRelationship.SOURCE].node_id == node.ref_doc_id == "handbook"


def test_a_model_sees_title_and_headings_but_no_path() -> None:
    """What llama-index puts before the text in a prompt and in an embedding names no place of the server."""
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        seen = text_node(PASSAGE).get_content(metadata_mode=mode)
        assert "Handbook" in seen
        assert "Travel > Meals" in seen
        assert "/srv" not in seen


def test_what_a_passage_lacks_is_left_out() -> None:
    """No page and no heading make no metadata that says None."""
    bare = Passage(
        chunk_id="c", document_id="d", version=1, title="t", source_uri="u", text="x", start=0, end=1,
        page=None, page_end=None, headings=(),
    )  # fmt: skip
    assert text_node(bare).metadata == {"document_id": "d", "version": 1, "title": "t", "source_uri": "u"}


def test_a_retriever_is_made_for_one_scope_and_has_no_other() -> None:
    """The scope has no default, and each search takes the one that was given."""
    assert inspect.signature(GroundwireRetriever).parameters["scope"].default is inspect.Parameter.empty
    search = OneHit()

    async def ask() -> list[NodeWithScore]:
        retriever = made(search, k=4, per_document=1)
        assert isinstance(retriever, BaseRetriever)
        return await retriever.aretrieve(QueryBundle("meals?"))

    (found,) = asyncio.run(ask())
    assert (found.score, found.node_id) == (0.5, "c1")
    assert search.calls == [("meals?", SCOPE, {"k": 4, "per_document": 1})]


def test_a_thread_may_retrieve_and_the_search_runs_in_the_loop_of_the_home() -> None:
    """From a plain thread and from another loop, both faces work, and never search in a loop that is not the home's."""
    search = OneHit()

    async def elsewhere(retriever: GroundwireRetriever) -> list[NodeWithScore]:
        return retriever.retrieve("two") + await retriever.aretrieve("three")

    async def use() -> list[str]:
        retriever = made(search)
        found = await asyncio.to_thread(retriever.retrieve, "one")
        found += await asyncio.to_thread(lambda: asyncio.run(elsewhere(retriever)))
        return [node.node_id for node in found]

    assert asyncio.run(use()) == ["c1"] * 3
    assert [question for question, _, _ in search.calls] == ["one", "two", "three"]
    assert set(search.threads) == {threading.get_ident()}


def test_retrieving_in_the_loop_of_the_home_is_refused_not_stuck() -> None:
    """The error names the ways that work."""

    async def use() -> None:
        with pytest.raises(RuntimeError, match="aretrieve"):
            made(OneHit()).retrieve("x")

    asyncio.run(use())


def test_a_retriever_of_a_closed_home_says_so() -> None:
    """Neither face waits for a loop that has ended."""

    async def make() -> GroundwireRetriever:
        return made(OneHit())

    retriever = asyncio.run(make())
    with pytest.raises(DependencyDown, match="Open the home again"):
        retriever.retrieve("x")
    with pytest.raises(DependencyDown, match="Open the home again"):
        asyncio.run(retriever.aretrieve("x"))


OFFLINE = """
import asyncio, sys
before = set(sys.modules)

def guard(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "subprocess.Popen", "os.mkdir"):
        raise SystemExit(f"{event}{arguments}")

sys.addaudithook(guard)
from retrieval.llama_index import GroundwireRetriever, text_node
from retrieval.evidence import Hit, Passage

class Search:
    async def search(self, question, scope, **rest):
        passage = Passage(chunk_id="c", document_id="d", version=1, title="t", source_uri="u", text=question,
                          start=0, end=1, page=None, page_end=None, headings=())
        return [Hit(passage=passage, score=1.0, legs={})]

async def main():
    retriever = GroundwireRetriever(Search(), None)
    found = await asyncio.to_thread(retriever.retrieve, "meals")
    assert found[0].get_content() and retriever.get_prompts() == {}

asyncio.run(main())
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
fetching = loaded & {"nltk", "tiktoken", "openai", "torch", "transformers", "posthog"}
sys.exit(f"loaded {fetching}" if fetching else 0)
"""


def test_llama_index_reaches_for_nothing() -> None:
    """Importing and retrieving connects nowhere, makes no folder, and loads none of the parts that download."""
    ended = subprocess.run(
        [sys.executable, "-B", "-c", OFFLINE],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
