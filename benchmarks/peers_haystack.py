"""Haystack as a peer: splitter, sentence-transformers embedder and InMemoryDocumentStore; BM25 and embeddings joined.

Started by `benchmarks.peers` in the environment of the peers. Chosen in its favour: batches of 32, everything in
memory, embeddings kept out of what a retriever returns, progress bars off. Its filters compare whole values, so each
access token of a document is a field of its own, and the filter asks for any of the asker's.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from benchmarks.peers_protocol import DEPTH, HITS, Record, serve

CHUNK_WORDS = 180  # about 240 tokens of English


class Haystack:
    """See `peers_protocol.System`."""

    packages = ("haystack-ai", "sentence-transformers-haystack", "sentence-transformers", "torch")

    def __init__(self, model: str, *, dtype: str) -> None:
        from haystack import Pipeline
        from haystack.components.joiners import DocumentJoiner
        from haystack.components.preprocessors import DocumentSplitter
        from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
        from haystack.components.writers import DocumentWriter
        from haystack.document_stores.in_memory import InMemoryDocumentStore
        from haystack_integrations.components.embedders.sentence_transformers import (
            SentenceTransformersDocumentEmbedder,
            SentenceTransformersTextEmbedder,
        )

        store = InMemoryDocumentStore(embedding_similarity_function="cosine", return_embedding=False)
        options: dict[str, Any] = {
            "model": model,
            "batch_size": 32,
            "progress_bar": False,
            "local_files_only": True,
            "model_kwargs": {"dtype": dtype},
        }
        self._indexing = Pipeline()
        self._indexing.add_component("split", DocumentSplitter(split_by="word", split_length=CHUNK_WORDS))
        self._indexing.add_component(
            "embed", SentenceTransformersDocumentEmbedder(**options, meta_fields_to_embed=["title"])
        )
        self._indexing.add_component("write", DocumentWriter(store))
        self._indexing.connect("split", "embed")
        self._indexing.connect("embed", "write")
        self._embedder = SentenceTransformersTextEmbedder(**options)
        self._asking = Pipeline()
        self._asking.add_component("embed", self._embedder)
        self._asking.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=DEPTH))
        self._asking.add_component("lexical", InMemoryBM25Retriever(store, top_k=DEPTH))
        self._asking.add_component("join", DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=HITS))
        self._asking.connect("embed.embedding", "dense.query_embedding")
        self._asking.connect("dense", "join")
        self._asking.connect("lexical", "join")
        self._store = store
        self._filter: dict[str, Any] = {}

    def ingest(self, records: Sequence[Record]) -> int:
        from haystack import Document

        before = self._store.count_documents()
        documents = [
            Document(
                id=record["id"],
                content=record["text"],
                meta={"title": record["title"], "allow": record["allow"]}
                | {_field(token): True for token in record["allow"]},
            )
            for record in records
        ]
        self._indexing.run({"split": {"documents": documents}})
        return int(self._store.count_documents()) - int(before)

    def finish(self) -> None:
        self._embedder.warm_up()

    def use(self, tokens: Sequence[str]) -> None:
        conditions = [{"field": f"meta.{_field(token)}", "operator": "==", "value": True} for token in tokens]
        self._filter = {"operator": "OR", "conditions": conditions}

    def query(self, question: str) -> list[list[str]]:
        found = self._asking.run(
            {
                "embed": {"text": question},
                "dense": {"filters": self._filter},
                "lexical": {"query": question, "filters": self._filter},
            }
        )
        return [document.meta["allow"] for document in found["join"]["documents"]]

    def encode(self, question: str) -> object:
        return self._embedder.run(question)


def _field(token: str) -> str:
    return token.replace(":", "_")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    serve(Haystack(given.model, dtype=given.dtype))
