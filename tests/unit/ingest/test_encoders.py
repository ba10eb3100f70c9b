"""The encoders: one contract over both runtimes, and what differs between models."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.encoder import Encoder, Encodings
from ingest.encoders import EncoderConfig, model_folder, open_encoder
from ingest.encoders.model_folder import open_model_folder
from ingest.encoders.openvino_encoder import OpenVinoForward, why_not
from ingest.encoders.tokens import Batch, TextTokenizer, batches
from ingest.encoders.torch_encoder import TorchForward
from ingest.errors import BadInput, DependencyDown

WORDS = "the of and to in is was for leave policy days staff travel refund order ticket customer review".split()  # noqa: SIM905
TEXTS = [
    "The leave policy of staff is 25 days.",
    "",
    "refund",
    "Customer ticket review, order and refund: " * 40,
    "naïve Größe \u200b\u202e \U0001f600 請問 \ud800 \x00 e\u0301",
    "travel " * 9,
]


def write_model(folder: Path, *, pooling: str = "mean", kind: str = "bert") -> Path:
    """A sentence-transformers model with random weights, lively enough that its token vectors differ."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused0]", *".,:!", *letters, *(f"##{x}" for x in letters), *WORDS]
    vocabulary = {piece: token for token, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)  # type: ignore[no-untyped-call]
    torch.manual_seed(7)
    config = AutoConfig.for_model(
        kind, vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.3, pad_token_id=0, type_vocab_size=2,
    )  # fmt: skip
    AutoModel.from_config(config).save_pretrained(folder)  # type: ignore[no-untyped-call]
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 60, "do_lower_case": false}')
    (folder / "1_Pooling").mkdir()
    flags = {f"pooling_mode_{mode}": mode.startswith(pooling) for mode in ("cls_token", "mean_tokens", "max_tokens")}
    (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, **flags}))
    types = [("", "models.Transformer"), ("1_Pooling", "models.Pooling"), ("2_Normalize", "models.Normalize")]
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.{kind}"}
        for place, (path, kind) in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("tiny") / "tiny-bert")


@pytest.fixture(scope="session", params=["openvino", "torch"])
def encoder(request: pytest.FixtureRequest, tiny: Path) -> Encoder:
    return open_encoder(EncoderConfig(model=str(tiny), runtime=request.param, device="cpu", threads=1))


@pytest.fixture(scope="session")
def default() -> Encoder:
    return open_encoder(EncoderConfig(device="cpu"))


@pytest.fixture(scope="session")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(open_model_folder("all-MiniLM-L6-v2").path / "tokenizer.json", max_tokens=256)


def _bits(encodings: Encodings) -> np.ndarray:
    return np.concatenate([tokens.bits for tokens in encodings.tokens])


class TestContract:
    """What every encoder promises, whatever its runtime."""

    def test_shapes_and_unit_rows(self, encoder: Encoder) -> None:
        """Dense rows have length 1, and each text has one row of bits for each of its tokens."""
        encodings = encoder.encode(TEXTS)
        assert encodings.dense.shape == (len(TEXTS), encoder.dimensions)
        assert encodings.dense.dtype == np.float32
        assert np.linalg.norm(encodings.dense, axis=1) == pytest.approx(1, abs=1e-5)
        for tokens in encodings.tokens:
            assert (tokens.bits.dtype, tokens.starts.dtype) == (np.uint8, np.int32)
            assert tokens.bits.shape == (len(tokens.starts), encoder.dimensions // 8)

    def test_no_texts(self, encoder: Encoder) -> None:
        """No texts give no rows."""
        encodings = encoder.encode([])
        assert encodings.dense.shape == (0, encoder.dimensions)
        assert encodings.tokens == []

    def test_empty_text(self, encoder: Encoder) -> None:
        """A text without tokens has a unit vector and no bits, as passage and as question."""
        assert encoder.encode([""]).tokens[0].bits.shape == (0, encoder.dimensions // 8)
        question = encoder.encode_query("")
        assert np.linalg.norm(question.dense) == pytest.approx(1, abs=1e-5)
        assert (question.tokens.shape, question.weights.shape) == ((0, encoder.dimensions), (0,))
        assert question.familiarity == 1

    def test_batch_changes_nothing(self, encoder: Encoder) -> None:
        """A text alone and the same text among others have the same vector and bits, in the order of the call."""
        together = encoder.encode(TEXTS * 3)
        for place, text in enumerate(TEXTS * 3):
            alone = encoder.encode([text])
            assert alone.dense[0] @ together.dense[place] > 0.9999
            differing = np.unpackbits(alone.tokens[0].bits) != np.unpackbits(together.tokens[place].bits)
            assert differing.sum() <= 0.01 * differing.size

    def test_bits_are_the_signs_of_the_token_vectors(self, encoder: Encoder) -> None:
        """Bits of a passage are the signs of the unit token vectors that the same text has as a question."""
        for text in TEXTS[:1] + TEXTS[2:]:
            question = encoder.encode_query(text)
            assert np.linalg.norm(question.tokens, axis=1) == pytest.approx(1, abs=1e-5)
            bits = np.unpackbits(encoder.encode([text]).tokens[0].bits, axis=-1).astype(bool)
            clear = np.abs(question.tokens) > 0.02
            assert (bits == (question.tokens > 0))[clear].all()
            assert clear.mean() > 0.8

    def test_long_text_is_cut(self, encoder: Encoder) -> None:
        """What lies beyond `max_tokens` is not seen; up to there everything is."""
        words = ["leave"] * encoder.max_tokens
        exact, longer = " ".join(words), " ".join([*words, "refund", "ticket"])
        encodings = encoder.encode([exact, longer, " ".join([*words[:-1], "refund"])])
        assert [len(tokens.bits) for tokens in encodings.tokens] == [encoder.max_tokens] * 3
        assert encodings.dense[0] @ encodings.dense[1] > 0.9999
        assert not np.array_equal(encodings.tokens[0].bits, encodings.tokens[2].bits)
        assert len(encoder.token_starts(longer)) == encoder.max_tokens + 2

    def test_threads(self, encoder: Encoder) -> None:
        """Calls from several threads at once give what the same calls give one after the other."""
        parts = [TEXTS * 4, TEXTS[::-1], TEXTS[2:3] * 30, TEXTS[:2]] * 3
        with ThreadPoolExecutor(8) as pool:
            questions = [pool.submit(encoder.encode_query, text) for text in TEXTS * 4]
            passages = list(pool.map(encoder.encode, parts))
        for part, encodings in zip(parts, passages, strict=True):
            assert (encodings.dense * encoder.encode(part).dense).sum(axis=1).min() > 0.9999
        for text, question in zip(TEXTS * 4, questions, strict=True):
            assert question.result().dense @ encoder.encode_query(text).dense > 0.9999

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(text=st.text(st.characters(exclude_categories=())) | st.text("ab .,é請\u0301\ud800", max_size=200))
    def test_any_text_has_a_start_for_each_row(self, encoder: Encoder, text: str) -> None:
        """Whatever the text, lone surrogates included, starts lie inside it, ascend, and match the bits row for row."""
        tokens = encoder.encode([text]).tokens[0]
        assert len(tokens.bits) == len(tokens.starts)
        assert (tokens.starts >= 0).all()
        assert (tokens.starts <= len(text)).all()
        assert (np.diff(tokens.starts) >= 0).all()
        starts = encoder.token_starts(text)
        assert np.array_equal(starts[: len(tokens.starts)], tokens.starts)
        assert (np.diff(starts) >= 0).all()
        question = encoder.encode_query(text)
        assert len(question.tokens) == len(question.weights) == len(tokens.starts)
        assert (question.weights >= 0).all()
        assert 0 <= question.familiarity <= 1

    def test_starts_name_the_words(self, encoder: Encoder) -> None:
        """A token begins where its word does, however many bytes its neighbours have."""
        text = "\U0001f600 請 Réfund, policy"
        starts = encoder.encode([text]).tokens[0].starts
        assert [text[start] for start in starts] == ["\U0001f600", "請", "R", ",", "p"]


@pytest.mark.parametrize("runtime", [OpenVinoForward, TorchForward])
def test_question_does_not_wait_for_passages(runtime: type[OpenVinoForward | TorchForward], tiny: Path) -> None:
    """A question is answered while a call with passages is under way and cannot end before it."""
    forward = runtime(open_model_folder(str(tiny)))
    answered, started = threading.Event(), threading.Event()
    batch = Batch(texts=[0], ids=np.full((1, 8), 9), mask=np.ones((1, 8), np.int64))

    def held() -> object:
        yield batch
        started.set()
        assert answered.wait(60)
        yield batch

    with ThreadPoolExecutor(1) as pool:
        passages = pool.submit(lambda: list(forward.passages(held())))  # type: ignore[arg-type]
        assert started.wait(60)
        dense, _ = forward.query(batch)
        answered.set()
        assert len(passages.result()) == 2
    assert dense.shape == (1, 32)


class TestRuntimesAgree:
    """OpenVINO computes what sentence-transformers computes."""

    @pytest.mark.parametrize(("kind", "pooling"), [("bert", "mean"), ("bert", "cls"), ("xlm-roberta", "mean")])
    def test_tiny_model(self, tmp_path: Path, kind: str, pooling: str) -> None:
        """Both runtimes give the vectors of sentence-transformers itself, for each architecture and pooling."""
        from sentence_transformers import SentenceTransformer

        folder = write_model(tmp_path / "model", kind=kind, pooling=pooling)
        assert why_not(open_model_folder(str(folder))) is None
        texts = [text for text in TEXTS if "\ud800" not in text]
        expected = SentenceTransformer(str(folder)).encode(texts)
        for runtime in ("openvino", "torch"):
            dense = open_encoder(EncoderConfig(model=str(folder), runtime=runtime, device="cpu")).encode(texts).dense
            assert (dense * expected).sum(axis=1).min() > 0.999

    def test_default_model(self, default: Encoder) -> None:
        """On all-MiniLM-L6-v2 the cosine between OpenVINO and torch in float32 is at least 0.999, bits agree in 98%."""
        torch = open_encoder(EncoderConfig(runtime="torch", device="cpu"))
        ours, theirs = default.encode(TEXTS), torch.encode(TEXTS)
        assert (ours.dense * theirs.dense).sum(axis=1).min() >= 0.999
        same = np.unpackbits(_bits(ours)) == np.unpackbits(_bits(theirs))
        assert same.mean() > 0.98
        assert default.max_tokens == torch.max_tokens == 254
        question = default.encode_query("Who approves travel?"), torch.encode_query("Who approves travel?")
        assert (question[0].tokens * question[1].tokens).sum(axis=1).min() >= 0.999
        assert np.array_equal(question[0].weights, question[1].weights)


class TestPrefixes:
    """Prefixes are read by the model and never show in rows or offsets."""

    def test_prefix_is_read_but_leaves_no_rows(self, tiny: Path) -> None:
        """With a prefix the vector is that of prefix and text, while rows and spans are those of the text alone."""
        bare = open_encoder(EncoderConfig(model=str(tiny), runtime="openvino"))
        config = EncoderConfig(model=str(tiny), runtime="openvino", passage_prefix="order: ", query_prefix="ticket: ")
        prefixed = open_encoder(config)
        text = "refund policy"
        assert np.array_equal(prefixed.encode([text]).tokens[0].starts, bare.encode([text]).tokens[0].starts)
        assert prefixed.encode([text]).dense[0] @ bare.encode(["order: " + text]).dense[0] > 0.9999
        question = prefixed.encode_query(text)
        assert question.dense @ bare.encode_query("ticket: " + text).dense > 0.9999
        assert np.array_equal(question.weights, bare.encode_query(text).weights)
        assert prefixed.max_tokens == bare.max_tokens - 2

    def test_prefix_changes_the_id(self, tiny: Path) -> None:
        """Encoders that give different vectors have different ids."""
        variants = [{}, {"query_prefix": "a"}, {"passage_prefix": "a"}, {"max_tokens": 32}]
        ids = {open_encoder(EncoderConfig(model=str(tiny), runtime="openvino", **variant)).id for variant in variants}  # type: ignore[arg-type]
        assert len(ids) == 4

    def test_weights_and_pooling_change_the_id(self, tiny: Path, tmp_path: Path) -> None:
        """Another pooling over the same weights is another encoder; a copy of the folder is the same one."""
        copy = shutil.copytree(tiny, tmp_path / "tiny-bert")
        pooling = copy / "1_Pooling/config.json"
        assert open_model_folder(str(copy)).fingerprint == open_model_folder(str(tiny)).fingerprint
        pooling.write_text('{"word_embedding_dimension": 32, "pooling_mode_cls_token": true}')
        assert open_model_folder(str(copy)).fingerprint != open_model_folder(str(tiny)).fingerprint

    def test_prefix_without_room(self, tiny: Path) -> None:
        """A prefix that fills the whole input is refused."""
        with pytest.raises(BadInput) as refused:
            open_encoder(EncoderConfig(model=str(tiny), runtime="openvino", max_tokens=4, query_prefix="order order: "))
        assert refused.value.code == "encoder_no_room"


def test_batches_hold_every_text_once_within_their_size(tokenizer: TextTokenizer) -> None:
    """Batches are sorted by length, cover all texts and stay within the number of tokens unless one text is longer."""
    tokenized = tokenizer.tokenize(["word " * length for length in (3, 90, 0, 200, 17, 17, 44)])
    formed = list(batches(tokenized, batch_tokens=100))
    assert sorted(text for batch in formed for text in batch.texts) == list(range(7))
    assert all(batch.ids.size <= 100 or len(batch.texts) == 1 for batch in formed)
    for batch in formed:
        assert batch.mask.sum(axis=1).tolist() == [len(tokenized[text].ids) for text in batch.texts]


class TestTokenWeights:
    """Weights and familiarity come from the vocabulary alone."""

    def weigh(self, tokenizer: TextTokenizer, text: str) -> dict[str, float]:
        (tokenized,) = tokenizer.tokenize([text])
        weights = tokenizer.weights(text, tokenized)
        return {text[a:b]: float(weight) for (a, b), weight in zip(tokenized.spans, weights, strict=True)}

    def test_rare_words_tell_more(self, tokenizer: TextTokenizer) -> None:
        """Stop words weigh next to nothing, punctuation nothing, rare words most, single characters between."""
        weights = self.weigh(tokenizer, "how is the retention of 3 tickets?")
        assert weights["?"] == 0
        assert 0 < weights["the"] < 0.05
        assert weights["is"] < 0.3 < weights["how"] < weights["tickets"] < weights["retention"] < 8
        assert weights["the"] < weights["3"] < weights["tickets"]

    def test_unknown_tells_nothing(self, tokenizer: TextTokenizer) -> None:
        """A token that the model cannot read has no weight."""
        assert self.weigh(tokenizer, "\U0001fabf refund")["\U0001fabf"] == 0

    def test_unigram_vocabulary(self, tmp_path: Path) -> None:
        """In a Unigram vocabulary the weight follows from the stated log-probability, not from the order."""
        from tokenizers import Tokenizer, models, pre_tokenizers

        pieces = [("<unk>", 0.0), ("▁retention", -11.0), ("▁the", -3.0), ("▁days", -7.0)]
        unigram = Tokenizer(models.Unigram(pieces, unk_id=0))
        unigram.pre_tokenizer = pre_tokenizers.Metaspace()
        unigram.save(str(tmp_path / "tokenizer.json"))
        tokenizer = TextTokenizer(tmp_path / "tokenizer.json", max_tokens=16)
        the, days, retention = self.weigh(tokenizer, "the days retention").values()
        share = 1 - np.exp(-220 * np.exp(-7))
        assert days == pytest.approx(-np.log(share), rel=1e-4)
        assert the < days < retention

    def test_bpe_vocabulary(self, tmp_path: Path) -> None:
        """In a BPE vocabulary pieces that were merged later weigh more."""
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        corpus = ["the the the the the the leave leave leave days days refund refund"] * 5
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        bpe.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=290, initial_alphabet=alphabet))
        bpe.save(str(tmp_path / "tokenizer.json"))
        tokenizer = TextTokenizer(tmp_path / "tokenizer.json", max_tokens=16)
        weights = [weight for _, weight in sorted(self.weigh(tokenizer, " the leave refund").items())]
        the, leave, refund = self.weigh(tokenizer, " the leave refund").values()
        assert len(weights) == 3
        assert the < leave < refund

    @pytest.mark.parametrize(
        ("text", "low", "high"),
        [
            ("What is the retention period of support tickets?", 0.8, 1.0),
            ("Wie lange werden Kundenanfragen aufbewahrt?", 0.3, 0.8),
            ("Как долго хранятся обращения?", 0.0, 0.05),
            ("客户请求保留多久", 0.0, 0.05),
            ("12 % + 3 = ?", 1.0, 1.0),
        ],
    )
    def test_familiarity_follows_the_language(
        self, tokenizer: TextTokenizer, text: str, low: float, high: float
    ) -> None:
        """An English model is at home in English, half in German, and not at all in Russian or Chinese."""
        (tokenized,) = tokenizer.tokenize([text])
        assert low <= tokenizer.familiarity(text, tokenized) <= high


class TestWhatCannotBeOpened:
    """Each failure is an error with a code and a next step."""

    def test_changed_weights(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Weights of the bundled package that are not those of upstream are never loaded."""
        monkeypatch.setattr(model_folder, "_BUNDLED_SHA256", "0" * 64)
        with pytest.raises(DependencyDown) as refused:
            open_encoder(EncoderConfig())
        assert refused.value.code == "encoder_weights_changed"

    def test_unknown_name(self, tmp_path: Path) -> None:
        """A name that is neither folder nor known offline names the model and what to do."""
        with pytest.raises(DependencyDown) as refused:
            open_encoder(EncoderConfig(model="nobody/nothing", cache=tmp_path, allow_download=False))
        assert (refused.value.item, refused.value.code) == ("nobody/nothing", "encoder_model_not_found")

    def test_name_on_the_hub(self, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A name is fetched from the hub into the cache, safetensors and descriptions only, and then opened."""
        asked: dict[str, object] = {}

        def fetch(repository: str, **options: object) -> str:
            asked.update(options, repository=repository)
            return str(tiny)

        monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
        encoder = open_encoder(EncoderConfig(model="some-model", cache=tmp_path, runtime="openvino"))
        assert encoder.id.startswith("some-model:")
        assert asked["repository"] == "sentence-transformers/some-model"
        assert (asked["cache_dir"], asked["local_files_only"]) == (tmp_path, False)
        assert not any(pattern.endswith((".bin", ".py", ".pt")) for pattern in asked["allow_patterns"])  # type: ignore[attr-defined]

    @pytest.mark.parametrize("missing", ["modules.json", "config.json", "tokenizer.json", "model.safetensors"])
    def test_incomplete_folder(self, tiny: Path, tmp_path: Path, missing: str) -> None:
        """A folder without one of the files is refused, and the file is named."""
        copy = shutil.copytree(tiny, tmp_path / "copy")
        (copy / missing).unlink()
        with pytest.raises(BadInput, match="safetensors" if missing == "model.safetensors" else missing) as refused:
            open_encoder(EncoderConfig(model=str(copy)))
        assert refused.value.code == "encoder_model_unreadable"

    @pytest.mark.parametrize("runtime", ["openvino", "torch"])
    def test_truncated_weights(self, tiny: Path, tmp_path: Path, runtime: str) -> None:
        """Weights that end too early are an error of ours on both runtimes."""
        copy = shutil.copytree(tiny, tmp_path / "copy")
        weights = copy / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1000])
        with pytest.raises((BadInput, DependencyDown), match="copy"):
            open_encoder(EncoderConfig(model=str(copy), runtime=runtime, device="cpu"))  # type: ignore[arg-type]

    def test_architecture_beyond_openvino(self, tiny: Path, tmp_path: Path) -> None:
        """A model that OpenVINO cannot take is refused when OpenVINO is demanded, and runs on torch otherwise."""
        copy = shutil.copytree(tiny, tmp_path / "copy")
        (copy / "1_Pooling/config.json").write_text('{"embedding_dimension": 32, "pooling_mode": "max"}')
        assert "max" in (why_not(open_model_folder(str(copy))) or "")
        with pytest.raises(BadInput) as refused:
            open_encoder(EncoderConfig(model=str(copy), runtime="openvino"))
        assert refused.value.code == "encoder_not_for_openvino"
        assert open_encoder(EncoderConfig(model=str(copy), device="cpu")).id.split(":")[2] == "f32"

    def test_code_of_a_model_never_runs(self, tiny: Path, tmp_path: Path) -> None:
        """A model that brings its own code is refused, and the code is not run."""
        copy = shutil.copytree(tiny, tmp_path / "copy")
        config = json.loads((copy / "config.json").read_text())
        own = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
        (copy / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
        (copy / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
        with pytest.raises(BadInput):
            open_encoder(EncoderConfig(model=str(copy), device="cpu"))
        assert not (tmp_path / "ran").exists()

    def test_no_gpu(self, tiny: Path) -> None:
        """A GPU that is demanded and not there is named as the cause."""
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        with pytest.raises(DependencyDown) as refused:
            open_encoder(EncoderConfig(model=str(tiny), device="cuda"))
        assert refused.value.code == "encoder_no_gpu"

    def test_openvino_on_a_gpu(self, tiny: Path) -> None:
        """OpenVINO on CUDA is a contradiction that is refused, not a CPU that is used in silence."""
        with pytest.raises(BadInput) as refused:
            open_encoder(EncoderConfig(model=str(tiny), runtime="openvino", device="cuda"))
        assert refused.value.code == "encoder_not_for_openvino"


def test_default_encoder_needs_no_torch() -> None:
    """Importing the package loads no heavy library, and using the default encoder neither torch nor transformers."""
    program = """
import sys
from ingest.encoders import EncoderConfig, open_encoder
assert not {"openvino", "torch", "tokenizers", "numpy", "huggingface_hub"} & set(sys.modules)
encoder = open_encoder(EncoderConfig(device="cpu"))
encoder.encode(["a passage"]), encoder.encode_query("a question")
assert not {"torch", "transformers", "sentence_transformers", "huggingface_hub"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
