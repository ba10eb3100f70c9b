"""The forward pass on torch, on a GPU or a CPU. The sole importer of sentence_transformers."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ingest.errors import BadInput, DependencyDown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.encoders.model_folder import ModelFolder
    from ingest.encoders.tokens import Batch

_GPU_BATCH_SCALE = 16  # 16k tokens keep a GPU busy and take about 1 GB at 1,024 dimensions


def sees_gpu() -> bool:
    """True where torch is installed and can use a GPU."""
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


class TorchForward:
    """Any sentence-transformers model in float32, without code from its repository."""

    def __init__(self, folder: ModelFolder, *, device: str = "auto", threads: int | None = None) -> None:
        import torch

        if device == "auto":
            device = "cuda" if sees_gpu() else "cpu"
        elif device == "cuda" and not sees_gpu():
            raise DependencyDown(
                folder.name,
                "encoder_no_gpu",
                "Torch sees no GPU here.",
                "Set the encoder's device to cpu or auto, or install a build of torch for this GPU.",
            )
        if threads is not None:
            torch.set_num_threads(threads)  # torch knows no other way than for the whole process
        self._torch = torch
        self._device = device
        self._model = _load(folder, device)
        self.precision = "f32"
        self.dimensions = int(self._model.get_embedding_dimension())
        self.token_dimensions = int(self._model[0].get_embedding_dimension())
        self.batch_scale = 1 if device == "cpu" else _GPU_BATCH_SCALE

    def passages(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float32], NDArray[np.bool_]]]:
        """See `Forward.passages`."""
        for batch in batches:
            dense, tokens = self._run(batch)
            yield batch, dense.cpu().numpy(), (tokens > 0).cpu().numpy()

    def query(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Forward.query`."""
        dense, tokens = self._run(batch)
        return dense.cpu().numpy(), tokens.cpu().numpy()

    def _run(self, batch: Batch) -> tuple[Any, Any]:
        torch = self._torch
        features = {
            "input_ids": torch.from_numpy(batch.ids).to(self._device),
            "attention_mask": torch.from_numpy(batch.mask).to(self._device),
        }
        with torch.inference_mode():
            output = self._model(features)
        return output["sentence_embedding"].float(), output["token_embeddings"].float()


def _load(folder: ModelFolder, device: str) -> Any:
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(
            str(folder.path),
            device=device,
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True, "dtype": "float32"},
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        raise BadInput(
            folder.name,
            "encoder_model_unreadable",
            f"sentence-transformers could not load the model: {type(error).__name__}: {str(error).splitlines()[0]}.",
            "Choose a model that needs no code of its own and is stored as safetensors.",
        ) from error
    return model.eval()
