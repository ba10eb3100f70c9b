"""LlamaIndex as a peer: IngestionPipeline, a vector store and BM25, fused by QueryFusionRetriever.

Started by `benchmarks.peers` in the environment of the peers. Chosen in its favour: no cache and no docstore while it
ingests, batches of 32, chunks as long as ours by the encoder's own tokeniser, everything in memory, and the BM25 leg's
filter, which it computes over all nodes when the retriever is made, made before the clock starts.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from typing import Any

from benchmarks.peers_protocol import DEPTH, HITS, Record, serve

CHUNK_TOKENS = 240


class LlamaIndex:
    """See `peers_protocol.System`."""

    packages = (
        "llama-index-core",
        "llama-index-retrievers-bm25",
        "llama-index-vector-stores-qdrant",
        "sentence-transformers",
        "torch",
    )

    def __init__(self, model: str, *, store: str, dtype: str) -> None:
        from llama_index.core.ingestion import IngestionPipeline
        from llama_index.core.node_parser import SentenceSplitter
        from llama_index.embeddings.huggingface import HuggingFaceEmbedding
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._embedding = HuggingFaceEmbedding(
            model_name=model, max_length=256, embed_batch_size=32, device="cpu", model_kwargs={"dtype": dtype}
        )
        splitter = SentenceSplitter(
            chunk_size=CHUNK_TOKENS,
            chunk_overlap=0,
            tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
            include_metadata=False,
        )
        self._qdrant = store == "qdrant"
        self._store = _store(qdrant=self._qdrant)
        self._pipeline = IngestionPipeline(
            transformations=[splitter, self._embedding], vector_store=self._store, disable_cache=True
        )
        self._nodes: list[Any] = []

    def ingest(self, records: Sequence[Record]) -> int:
        from llama_index.core import Document

        documents = [
            Document(
                id_=record["id"],
                text=record["text"],
                metadata={"title": record["title"], "allow": record["allow"]},
                excluded_embed_metadata_keys=["allow"],
            )
            for record in records
        ]
        nodes = self._pipeline.run(documents=documents, show_progress=False)
        self._nodes += nodes
        return len(nodes)

    def finish(self) -> None:
        from llama_index.core import VectorStoreIndex
        from llama_index.retrievers.bm25 import BM25Retriever

        bm25 = BM25Retriever.from_defaults(nodes=self._nodes, similarity_top_k=DEPTH)
        self._bm25 = bm25.bm25
        self._bm25.corpus = bm25.corpus
        if self._qdrant:
            self._index = VectorStoreIndex.from_vector_store(self._store, embed_model=self._embedding)
        else:
            self._index = VectorStoreIndex(self._nodes, embed_model=self._embedding)

    def use(self, tokens: Sequence[str]) -> None:
        from llama_index.core.llms import MockLLM
        from llama_index.core.retrievers import QueryFusionRetriever
        from llama_index.core.vector_stores import FilterOperator, MetadataFilter, MetadataFilters
        from llama_index.retrievers.bm25 import BM25Retriever

        def filters(operator: FilterOperator) -> MetadataFilters:
            return MetadataFilters(filters=[MetadataFilter(key="allow", value=list(tokens), operator=operator)])

        # Qdrant's IN over an array is "any of them"; elsewhere that is called ANY.
        dense_filter = filters(FilterOperator.IN if self._qdrant else FilterOperator.ANY)
        retrievers = [self._index.as_retriever(similarity_top_k=DEPTH, filters=dense_filter)]
        with contextlib.suppress(ValueError):  # raised when the asker may read nothing
            lexical_filter = filters(FilterOperator.ANY)
            retrievers.append(BM25Retriever(existing_bm25=self._bm25, similarity_top_k=DEPTH, filters=lexical_filter))
        self._retriever = QueryFusionRetriever(
            retrievers,
            llm=MockLLM(),
            mode="reciprocal_rerank",
            similarity_top_k=HITS,
            num_queries=1,
            use_async=False,
        )

    def query(self, question: str) -> list[list[str]]:
        return [hit.node.metadata["allow"] for hit in self._retriever.retrieve(question)]

    def encode(self, question: str) -> object:
        return self._embedding.get_query_embedding(question)


def _store(*, qdrant: bool) -> Any:
    if not qdrant:
        from llama_index.core.vector_stores import SimpleVectorStore

        return SimpleVectorStore()
    from llama_index.vector_stores.qdrant import QdrantVectorStore
    from qdrant_client import QdrantClient

    return QdrantVectorStore(collection_name="chunks", client=QdrantClient(":memory:"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--store", choices=["simple", "qdrant"], default="simple")
    parser.add_argument("--dtype", default="float32")
    given = parser.parse_args()
    serve(LlamaIndex(given.model, store=given.store, dtype=given.dtype))
