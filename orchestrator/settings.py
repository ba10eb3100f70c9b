"""Every setting, from the environment (`GROUNDWIRE_…`) and the command line. No other module reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ingest.tags import Classification
from retrieval.screening_policy import ScreeningRule


class Settings(BaseSettings):
    """What a home runs on. The defaults need no service and no key."""

    model_config = SettingsConfigDict(env_prefix="GROUNDWIRE_", frozen=True, extra="ignore")

    home: Path = Field(default=Path(".groundwire"), description="Folder that holds all state.")

    # stores
    database_url: str | None = Field(default=None, description="SQLAlchemy URL of the ledger; default: SQLite at home.")
    qdrant_url: str | None = Field(default=None, description="Qdrant server; default: the engine in process, at home.")
    qdrant_api_key: SecretStr | None = Field(default=None, description="Key of the Qdrant server.")
    qdrant_shards: int = Field(default=1, ge=1, description="Shards of the collection.")
    qdrant_replicas: int = Field(default=1, ge=1, description="Copies of each shard.")
    index_deadline_s: float = Field(default=30.0, gt=0, description="Longest wait for one call of the index.")

    # encoder
    encoder_model: str = Field(default="all-MiniLM-L6-v2", description="sentence-transformers model: name or folder.")
    encoder_runtime: Literal["auto", "openvino", "torch"] = Field(default="auto", description="What runs the model.")
    encoder_device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="Where torch runs it.")
    encoder_cache: Path | None = Field(default=None, description="Folder for models from the hub; default: the hub's.")
    encoder_download: bool = Field(default=True, description="Whether a model may be fetched from the hub.")
    encoder_max_tokens: int = Field(default=256, ge=16, description="Longest input of the encoder, in tokens.")
    encoder_threads: int | None = Field(default=None, ge=1, description="CPU threads; default: all cores.")
    query_prefix: str = Field(default="", description="Put before each question, for models that want one.")
    passage_prefix: str = Field(default="", description="Put before each passage, for models that want one.")

    # ingest
    workers: int = Field(default=2, ge=1, description="Processes that parse files.")
    batch_chunks: int = Field(default=512, ge=1, description="Chunks that are encoded and committed together.")
    chunk_tokens: int = Field(default=200, ge=16, description="Longest chunk, in tokens of the encoder.")
    max_file_bytes: int = Field(default=100_000_000, ge=1, description="Largest file.")
    max_unpacked_bytes: int = Field(default=400_000_000, ge=1, description="Largest sum of a container's members.")
    max_unpacked_ratio: float = Field(
        default=200.0, gt=1, description="Unpacked to packed size of a container's member."
    )
    max_members: int = Field(default=10_000, ge=1, description="Most entries of a container, or messages of a mailbox.")
    max_nesting: int = Field(default=200, ge=10, description="Deepest markup of a file.")
    max_embedded: int = Field(default=3, ge=0, description="Levels of files within files that are read.")
    max_pages: int = Field(default=5_000, ge=1, description="Most pages, slides or sheets of a file.")
    max_characters: int = Field(default=20_000_000, ge=1, description="Longest text of one document.")
    parse_seconds: float = Field(default=120.0, gt=0, description="Longest time to parse one file.")
    parse_memory_bytes: int = Field(default=3_000_000_000, ge=1, description="Memory to parse one file.")
    ocr: bool = Field(default=True, description="Recognise pages without text, when tesseract is installed.")
    ocr_languages: str = Field(default="eng", description="As tesseract names them, joined by +.")
    max_ocr_pages: int = Field(default=50, ge=1, description="Most pages of a document that are recognised.")
    max_ocr_pixels: int = Field(default=40_000_000, ge=1, description="Largest picture that is recognised.")

    # who asks
    groups_file: Path | None = Field(default=None, description="YAML: group to groups that contain it; default: none.")
    local_clearance: str = Field(
        default=Classification.regulated.name, description="Clearance of whoever uses the command line."
    )

    # questions
    evidence_k: int = Field(default=10, ge=1, le=100, description="Passages that an answer may draw on.")
    max_question_characters: int = Field(default=10_000, ge=1, description="Longest question.")
    calibration_file: Path | None = Field(
        default=None, description="What labels say of the confidence; default: `calibration.json` at home."
    )

    # models
    model: str = Field(default="auto", description="Route that answers where the asker names none; auto: by routing.")
    routes_file: Path | None = Field(
        default=None, description="YAML of model routes; default: `routes.yaml` at home, else the shipped ones."
    )
    prices_file: Path | None = Field(
        default=None, description="YAML of prices; default: `prices.yaml` at home, else the shipped ones."
    )
    limits_file: Path | None = Field(
        default=None, description="YAML of budgets and quotas; default: `limits.yaml` at home, else none."
    )
    secrets_folder: Path | None = Field(
        default=None, description="Folder of secrets, a file each; default: `secrets` at home."
    )
    secrets: dict[str, SecretStr] = Field(
        default={}, description="JSON: secrets by name, for where there are no files; `anthropic` is Claude's key."
    )
    secrets_group_may_read: bool = Field(
        default=False, description="Whether the group may read the files of secrets, as Kubernetes mounts them."
    )
    vault_url: str | None = Field(default=None, description="HashiCorp Vault that holds secrets; its token is a file.")
    vault_mount: str = Field(default="secret", description="Mount of Vault's KV v2 store.")
    vault_prefix: str = Field(default="groundwire", description="Folder of the secrets in Vault.")
    aws_secrets_region: str | None = Field(
        default=None, description="Region of AWS Secrets Manager, where that is used."
    )
    gcp_secrets_project: str | None = Field(default=None, description="Project of Google's Secret Manager.")
    azure_vault_url: str | None = Field(default=None, description="Azure Key Vault that holds secrets.")
    network_guard: bool = Field(default=True, description="Whether the server refuses connections to other hosts.")
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="JSON: URLs of further hosts that the process may talk to."
    )
    local_hosts: tuple[str, ...] = Field(
        default=(), description="JSON: names of hosts that may have an address within your own network."
    )

    # prompts and policies
    prompts_folder: Path | None = Field(
        default=None, description="Prompts of your own; default: `prompts` at home, if there is one."
    )
    prompt_environment: Literal["dev", "staging", "prod"] = Field(
        default="prod", description="Whose live prompts answer."
    )
    prompt_evaluation_required: bool = Field(
        default=True, description="Whether promotion to prod takes an evaluation that passed."
    )
    policies_folder: Path | None = Field(
        default=None, description="Policies in place of the shipped ones; default: the shipped ones."
    )

    # the record
    keys_folder: Path | None = Field(
        default=None, description="Folder of the keys that sign and encrypt the record; default: `keys` at home."
    )
    audit_witness_file: Path | None = Field(
        default=None, description="File that remembers signed heads; default: `audit/checkpoints.jsonl` at home."
    )
    audit_checkpoint_every: int = Field(default=1_000, ge=1, description="Events between two signed checkpoints.")

    # what operators see
    metrics_open: bool = Field(default=False, description="Whether /metrics needs no key.")
    trace_endpoint: str | None = Field(
        default=None, description="OTLP address for traces; default: none are made. Takes the extra `telemetry`."
    )
    log_format: Literal["json", "text"] = Field(default="text", description="How the server writes its log.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="warning", description="From when on.")

    # text that looks like an order
    screening_act: float = Field(default=0.99, gt=0, le=1, description="Score from which such text is withheld.")
    screening_flag: float = Field(default=0.95, gt=0, le=1, description="Score from which it is kept and flagged.")
    screening_rules: tuple[ScreeningRule, ...] = Field(
        default=(), description="JSON: what happens in place of stripping; the first rule that fits decides."
    )

    # personal data in answers
    personal_data_for_everyone: tuple[str, ...] = Field(
        default=("*",), description="JSON: types that every reader of a document sees in answers; * stands for all."
    )
    personal_data_for_roles: dict[str, frozenset[str]] = Field(
        default={}, description="JSON: role to the types that its holders see as well."
    )
    personal_data_words: dict[str, str] = Field(
        default={}, description="JSON: words and phrases of your own that count as personal data, with their type."
    )
    phone_regions: tuple[str, ...] | None = Field(
        default=None, description="JSON: countries whose own numbers count; default: some thirty."
    )

    # server
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8321, ge=0, le=65535, description="Port to listen on; 0: any free one.")
    api_keys_file: Path | None = Field(default=None, description="YAML of API keys; default: `api-keys.yaml` at home.")
    open_access: bool = Field(default=False, description="Serve without a key; every caller is the local user.")
    max_body_bytes: int = Field(default=1_000_000, ge=1, description="Largest body of a request.")

    @property
    def calibration_path(self) -> Path:
        """Where the calibration of the confidence is, if there is one."""
        return self.calibration_file or self.home / "calibration.json"

    @property
    def ledger_url(self) -> str:
        """SQLAlchemy URL of the ledger."""
        return self.database_url or f"sqlite:///{(self.home / 'ledger.db').absolute()}"

    @property
    def record_url(self) -> str:
        """SQLAlchemy URL of what the orchestrator keeps: runs, audit, usage, prompts."""
        return self.database_url or f"sqlite:///{(self.home / 'record.db').absolute()}"

    @property
    def keys_path(self) -> Path:
        """Where the keys of the record are."""
        return self.keys_folder or self.home / "keys"

    @property
    def witness_path(self) -> Path:
        """Where signed heads of the record are remembered beside the database."""
        return self.audit_witness_file or self.home / "audit" / "checkpoints.jsonl"

    @property
    def prompts_path(self) -> Path:
        """Where prompts of the home's own are, if there are any."""
        return self.prompts_folder or self.home / "prompts"

    @property
    def embedded(self) -> bool:
        """Whether this process owns the index at home."""
        return self.qdrant_url is None
