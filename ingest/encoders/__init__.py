"""What stands behind the port `ingest.encoder`: sentence-transformers models on OpenVINO or on torch.

model_folder.py         where a model's files are, checked; what they say
tokens.py               text to token ids, offsets and token weights
transformer.py          the encoder: batches, one forward pass, vectors out
openvino_encoder.py     the forward pass on OpenVINO (CPU)
torch_encoder.py        the forward pass on torch (GPU or CPU), for every other architecture
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ingest.errors import BadInput

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from ingest.encoders.model_folder import ModelFolder
    from ingest.encoders.transformer import Forward

__all__ = ["EncoderConfig", "open_encoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """Which model encodes, and how."""

    model: str = "all-MiniLM-L6-v2"  # a folder, or a name on the Hugging Face hub; the default is found offline
    runtime: Literal["auto", "openvino", "torch"] = (
        "auto"  # auto: torch on a GPU, else OpenVINO where it can, else torch
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: an NVIDIA GPU where torch can use one
    cache: Path | None = None  # where models from the hub are kept; None: the hub library's own folder
    allow_download: bool = True  # False: only what is on this machine
    max_tokens: int = 256  # longest input of the model, special tokens and prefix included; capped at the model's own
    query_prefix: str = ""  # put before a question, as models such as E5 and BGE ask for
    passage_prefix: str = ""  # put before a passage
    threads: int | None = None  # CPU threads; None: all cores that this process may use
    batch_tokens: int = 1024  # padded tokens in one forward pass on a CPU; 16 times as many on a GPU


def open_encoder(config: EncoderConfig) -> Encoder:
    """Opens the encoder that `config` names; 0.5 s for the default model on OpenVINO, seconds where torch is loaded.

    Raises `BadInput` for a model that cannot be used and `DependencyDown` for one that is not there or is damaged.
    """
    from ingest.encoders.model_folder import open_model_folder
    from ingest.encoders.transformer import TransformerEncoder

    folder = open_model_folder(config.model, cache=config.cache, allow_download=config.allow_download)
    return TransformerEncoder(config, folder, _open_forward(config, folder))


def _open_forward(config: EncoderConfig, folder: ModelFolder) -> Forward:
    """Picks the runtime."""
    if config.runtime == "openvino" or (config.runtime == "auto" and not _on_gpu(config)):
        from ingest.encoders.openvino_encoder import OpenVinoForward, why_not

        reason = "it runs on CPUs and the device is set to cuda" if config.device == "cuda" else why_not(folder)
        if reason is None:
            return OpenVinoForward(folder, threads=config.threads)
        if config.runtime == "openvino":
            raise BadInput(
                config.model,
                "encoder_not_for_openvino",
                f"OpenVINO cannot run this model here: {reason}.",
                "Set the encoder's runtime to torch or auto.",
            )
    from ingest.encoders.torch_encoder import TorchForward

    return TorchForward(folder, device=config.device, threads=config.threads)


def _on_gpu(config: EncoderConfig) -> bool:
    """True when a GPU shall do the work; its driver's device spares other machines the seconds of importing torch."""
    if config.device == "auto" and Path("/dev/nvidiactl").exists():
        from ingest.encoders.torch_encoder import sees_gpu

        return sees_gpu()
    return config.device == "cuda"
