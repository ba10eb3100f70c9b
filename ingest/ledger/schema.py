"""The tables of the ledger, for SQLite and PostgreSQL alike. A change here needs a migration beside it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
_DOCUMENT_ID = String().with_variant(String(collation="C"), "postgresql")  # sorted by code point, as in SQLite

documents = Table(
    "documents",
    metadata,
    Column("key", String(32), primary_key=True),  # hash of tenant and id
    Column("tenant", String, nullable=False),
    Column("id", _DOCUMENT_ID, nullable=False),  # as people and scripts name the document
    Column("source_uri", String, nullable=False),
    Column("deleting", Integer, nullable=False, server_default="0"),  # 1: invisible at once, removal under way
    UniqueConstraint("tenant", "id"),
    UniqueConstraint("tenant", "source_uri"),
)

versions = Table(
    "versions",
    metadata,
    Column("document", ForeignKey("documents.key", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # counts from 1
    Column("state", String(10), nullable=False),  # staged, current, superseded
    Column("tags", Text, nullable=False),  # AccessTags as JSON, beside the text they guard: both change in one step
    Column("access_hash", String(64), nullable=False),  # of `tags`
    Column("indexed_access_hash", String(64)),  # of the tags that the index holds; another one means work is left
    Column("content_hash", String(64), nullable=False),  # of the source's bytes and of how they were parsed
    Column("title", String, nullable=False),
    Column("media_type", String, nullable=False),
    Column("pages", Integer),
    Column("notes", Text, nullable=False),  # JSON list
    Column("text", Text, nullable=False),  # canonical text: offsets count in it
    Column("characters", BigInteger, nullable=False),
    Column("created_at", String(32), nullable=False),  # UTC, ISO 8601
    Column("superseded_at", String(32)),  # UTC, ISO 8601
    Column("screener", String),  # id of the screener that screened it last, null: none ever did
    Column("screening_failed", Text),  # JSON list: detectors that failed
    Column("findings", Text),  # JSON list: all that was found, as `rows.finding_values`
    Column("peaks", Text),  # JSON object: kind to the highest score of its findings
    Index("versions_by_state", "state"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", String(36), primary_key=True),  # UUID, also the point's id in the index
    Column("document", ForeignKey("documents.key", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("ordinal", Integer, nullable=False),  # counts from 0
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("page", Integer),
    Column("page_end", Integer),
    Column("headings", Text, nullable=False),  # JSON list, from the highest down
    Column("encoding_hash", String(64), nullable=False),  # of the text that the encoder sees
    Column("findings", Text, nullable=False, server_default="[]"),  # of its version, those that a reader of it meets
    UniqueConstraint("document", "version", "ordinal"),
    Index("chunks_by_encoding", "encoding_hash"),
)

encodings = Table(
    "encodings",
    metadata,
    Column(
        "tenant", String, primary_key=True
    ),  # never shared between tenants, so that no timing tells of another's text
    Column("encoder", String, primary_key=True),
    Column("hash", String(64), primary_key=True),
    Column("dense", LargeBinary, nullable=False),  # float32
    Column("tokens", LargeBinary, nullable=False),  # sign bits, rows of dimensions / 8 bytes
    Column("starts", LargeBinary, nullable=False),  # int32, where each token begins in the text
)

hidden_texts = Table(
    "hidden_texts",
    metadata,
    Column("document", ForeignKey("documents.key", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("reason", String(40), nullable=False),
    Column("place", String, nullable=False),
    Column("text", Text, nullable=False),
)

facts = Table(  # single values: the encoder and the index that serve
    "facts",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
