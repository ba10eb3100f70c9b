"""Search as a llama-index retriever, chunks as its nodes; the only importer of llama-index.

What a chain of llama-index does with the nodes lies outside of the gates: no citation of its answers is checked here.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from ingest.errors import DependencyDown

if TYPE_CHECKING:
    from llama_index.core.callbacks.base import CallbackManager

    from retrieval.access import ReadScope
    from retrieval.evidence import Hit, Passage
    from retrieval.search import Retriever


class GroundwireRetriever(BaseRetriever):
    """Retrieves what one principal may read: a scope belongs to one, and so does the retriever made with it.

    A scope knows the groups of its principal and the day on which it was made, so make a retriever per request. It is
    made in the event loop of the open home, and the search runs there, whoever asks: `aretrieve` from any loop,
    `retrieve` from any thread but that loop's own, where it would wait for itself.
    """

    def __init__(
        self,
        retriever: Retriever,
        scope: ReadScope,
        *,
        k: int = 10,
        per_document: int | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        """`k` and `per_document` as in `Retriever.search`. Raises RuntimeError where no event loop runs."""
        super().__init__(callback_manager=callback_manager)
        self._retriever = retriever
        self._scope = scope
        self._k = k
        self._per_document = per_document
        self._loop = asyncio.get_running_loop()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._loop is _running_loop():
            raise RuntimeError("The home's own event loop would wait for itself. Await aretrieve, or use a thread.")
        self._check_open()
        return asyncio.run_coroutine_threadsafe(self._search(query_bundle), self._loop).result()

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if self._loop is _running_loop():
            return await self._search(query_bundle)
        self._check_open()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._search(query_bundle), self._loop))

    async def _search(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._retriever.search(query_bundle.query_str, self._scope, k=self._k, per_document=self._per_document)
        return [_node_with_score(hit) for hit in await found]

    def _check_open(self) -> None:
        if not self._loop.is_running():
            cause = "The event loop of the home has ended."
            raise DependencyDown("retriever", "home_closed", cause, "Open the home again and make a new retriever.")


def text_node(passage: Passage) -> TextNode:
    """The passage as a node; its offsets count in the canonical text of its document version."""
    return TextNode(
        id_=passage.chunk_id,
        text=passage.text,
        start_char_idx=passage.start,
        end_char_idx=passage.end,
        metadata=_metadata(passage),
        excluded_llm_metadata_keys=["document_id", "version", "source_uri", "page_end"],
        excluded_embed_metadata_keys=["document_id", "version", "source_uri", "page", "page_end"],
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=passage.document_id)},
    )


def _metadata(passage: Passage) -> dict[str, Any]:
    """Flat, as stores and prompts of llama-index want it; what a passage does not have is left out."""
    fields = {
        "document_id": passage.document_id,
        "version": passage.version,
        "title": passage.title,
        "source_uri": passage.source_uri,
        "page": passage.page,
        "page_end": passage.page_end,
        "headings": " > ".join(passage.headings) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _node_with_score(hit: Hit) -> NodeWithScore:
    return NodeWithScore(node=text_node(hit.passage), score=hit.score)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
