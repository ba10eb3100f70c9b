"""The forward pass on OpenVINO, on CPUs. The sole importer of openvino and safetensors.

The graph of a BERT-like model (Devlin et al., 2019) is built straight from its weights in 0.1 s. Exporting it with
torch gives the same speed and the same vectors, but costs 7 s and an installation of torch, and leaves a second copy of
the weights on disk that has to be kept in step with the first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.encoders.model_folder import ROBERTA_LIKE
from ingest.errors import DependencyDown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoders.model_folder import ModelFolder
    from ingest.encoders.tokens import Batch

_MODULES = ({"Transformer", "Pooling"}, {"Transformer", "Pooling", "Normalize"})
_MAX_STREAMS = 8  # each stream holds the activations of one batch


def why_not(folder: ModelFolder) -> str | None:
    """Why OpenVINO cannot take this model, or None when it can."""
    import importlib.util

    model = folder.transformer
    if importlib.util.find_spec("openvino") is None or importlib.util.find_spec("safetensors") is None:
        return "openvino and safetensors are not installed"
    if set(folder.modules) not in _MODULES or folder.pooling not in ("mean", "cls"):
        return f"its modules are {', '.join(folder.modules)} with pooling {folder.pooling or 'unnamed'}"
    if model.get("model_type") != "bert" and model.get("model_type") not in ROBERTA_LIKE:
        return f"its architecture is {model.get('model_type')}"
    if model.get("hidden_act") != "gelu" or model.get("position_embedding_type", "absolute") != "absolute":
        return "it is a variant of BERT with other activations or positions"
    if model.get("dtype", model.get("torch_dtype")) == "bfloat16":
        return "its weights are stored as bfloat16"
    if not (folder.transformer_path / "model.safetensors").is_file():
        return "its weights are in several files"
    return None


class OpenVinoForward:
    """Passages on a model compiled for throughput, questions on one compiled for latency, 20 MiB more for MiniLM.

    A call brings its own infer requests, so that nothing is locked and a question is never queued behind passages.
    bf16 where the CPU computes in it, which keeps the cosine to f32 above 0.9999; else f32.
    """

    def __init__(self, folder: ModelFolder, *, threads: int | None = None) -> None:
        import openvino
        from safetensors import SafetensorError

        core = openvino.Core()
        bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self.precision = "bf16" if bf16 else "f32"
        self.dimensions = self.token_dimensions = int(folder.transformer["hidden_size"])
        self.batch_scale = 1
        threads = threads or _usable_cores()
        self._streams = min(threads, _MAX_STREAMS)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": self.precision,
            "ENABLE_CPU_PINNING": False,
        }
        try:
            graph = _BertGraph(folder)
            self._bulk = core.compile_model(graph.signs(), "CPU", {**settings, "NUM_STREAMS": self._streams})
            self._single = core.compile_model(graph.vectors(), "CPU", {**settings, "NUM_STREAMS": 1})
        except (RuntimeError, SafetensorError) as error:
            raise DependencyDown(
                folder.name,
                "encoder_not_compiled",
                f"OpenVINO could not build the model from its weights: {str(error).splitlines()[0]}.",
                "Install or fetch the model again, or set the encoder's runtime to torch.",
            ) from error

    def passages(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float32], NDArray[np.bool_]]]:
        """See `Forward.passages`. One batch more than there are streams is under way, so that none of them waits."""
        running: deque[tuple[Batch, Any]] = deque()
        for batch in batches:
            request = self._bulk.create_infer_request() if len(running) <= self._streams else None
            if request is None:
                done, request = running.popleft()
                yield done, *_outputs(request)
            request.start_async([batch.ids, batch.mask])
            running.append((batch, request))
        while running:
            done, request = running.popleft()
            yield done, *_outputs(request)

    def query(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Forward.query`."""
        request = self._single.create_infer_request()
        request.start_async([batch.ids, batch.mask])
        return _outputs(request)


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outputs(request: Any) -> tuple[Any, Any]:
    """Copies of both outputs: the request's own memory is overwritten by its next batch."""
    request.wait()
    return request.get_output_tensor(0).data.copy(), request.get_output_tensor(1).data.copy()


class _BertGraph:
    """BERT as OpenVINO operations over memory-mapped weights. Inputs: ids and mask, int64 [b, length]."""

    def __init__(self, folder: ModelFolder) -> None:
        from openvino import opset15
        from safetensors import safe_open

        self._ops = opset15
        self._config = folder.transformer
        self._pooling = folder.pooling
        self._weights: Any = safe_open(folder.transformer_path / "model.safetensors", framework="numpy")
        table = "embeddings.word_embeddings.weight"
        names: list[str] = list(self._weights.keys())  # type: ignore[no-untyped-call]
        self._root = next((name.removesuffix(table) for name in names if name.endswith(table)), "")
        self._ids = opset15.parameter([-1, -1], np.int64, name="ids")
        self._mask = opset15.parameter([-1, -1], np.int64, name="mask")
        self._states = self._encoder()
        self._pooled = self._pool()

    def signs(self) -> Any:
        """A model with outputs pooled [b, d] and the signs of the token vectors, bool [b, length, d]."""
        return self._model(self._ops.greater(self._states, self._scalar(0.0)))

    def vectors(self) -> Any:
        """A model with outputs pooled [b, d] and the token vectors [b, length, d]."""
        return self._model(self._states)

    def _model(self, tokens: Any) -> Any:
        import openvino

        return openvino.Model([self._pooled, tokens], [self._ids, self._mask], "sentence_encoder")

    def _encoder(self) -> Any:
        ops = self._ops
        seen = ops.unsqueeze(ops.not_equal(self._mask, ops.constant(0, dtype=np.int64)), self._axes(1, 2))
        states = self._embeddings()
        for layer in range(self._config["num_hidden_layers"]):
            name = f"encoder.layer.{layer}."
            attended = self._attention(states, seen, name + "attention.self.")
            attended = self._linear(attended, name + "attention.output.dense")
            states = self._norm(ops.add(attended, states), name + "attention.output.LayerNorm")
            inner = ops.gelu(self._linear(states, name + "intermediate.dense"), "erf")
            inner = self._linear(inner, name + "output.dense")
            states = self._norm(ops.add(inner, states), name + "output.LayerNorm")
        return states

    def _embeddings(self) -> Any:
        """Words, plus positions and token type 0 in one table, cut to the batch's length."""
        ops = self._ops
        words = ops.gather(self._weight("embeddings.word_embeddings.weight"), self._ids, ops.constant(0))
        positions = self._array("embeddings.position_embeddings.weight")
        positions = positions + self._array("embeddings.token_type_embeddings.weight")[0]
        if self._config["model_type"] in ROBERTA_LIKE:
            positions = positions[self._config["pad_token_id"] + 1 :]
        length = ops.gather(ops.shape_of(self._ids), self._axes(1), ops.constant(0))
        seen = ops.slice(ops.constant(positions), self._axes(0), length, self._axes(1), self._axes(0))
        return self._norm(ops.add(words, seen), "embeddings.LayerNorm")

    def _attention(self, states: Any, seen: Any, name: str) -> Any:
        ops, width, heads = self._ops, self._config["hidden_size"], self._config["num_attention_heads"]
        by_head, swap = self._axes(0, 0, heads, width // heads), self._axes(0, 2, 1, 3)
        query, key, value = (
            ops.transpose(ops.reshape(self._linear(states, name + part), by_head, special_zero=True), swap)
            for part in ("query", "key", "value")
        )
        mixed = ops.transpose(ops.scaled_dot_product_attention(query, key, value, seen), swap)
        return ops.reshape(mixed, self._axes(0, 0, width), special_zero=True)

    def _pool(self) -> Any:
        """Mean over the tokens, or the first token; scaling to unit length makes a division by their count idle."""
        ops = self._ops
        if self._pooling == "cls":
            return ops.gather(self._states, ops.constant(0), ops.constant(1))
        real = ops.unsqueeze(ops.convert(self._mask, "f32"), self._axes(2))
        total = ops.reduce_sum(ops.multiply(self._states, real), self._axes(1))
        return ops.normalize_l2(total, self._axes(1), 1e-12, "max")

    def _linear(self, states: Any, name: str) -> Any:
        product = self._ops.matmul(states, self._weight(name + ".weight"), False, True)
        return self._ops.add(product, self._weight(name + ".bias"))

    def _norm(self, states: Any, name: str) -> Any:
        ops = self._ops
        centred = ops.mvn(states, self._axes(-1), True, self._config["layer_norm_eps"], "inside_sqrt")
        return ops.add(ops.multiply(centred, self._weight(name + ".weight")), self._weight(name + ".bias"))

    def _array(self, name: str) -> NDArray[np.float32]:
        array: NDArray[np.float32] = self._weights.get_tensor(self._root + name).astype(np.float32, copy=False)
        return array

    def _weight(self, name: str) -> Any:
        return self._ops.constant(self._array(name), shared_memory=True)

    def _axes(self, *numbers: int) -> Any:
        return self._ops.constant(np.array(numbers, np.int64))

    def _scalar(self, number: float) -> Any:
        return self._ops.constant(np.float32(number))
