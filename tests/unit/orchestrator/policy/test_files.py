"""The files of a policy set."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.policy import files
from orchestrator.policy.files import SHIPPED, read_files, statements

ROOT = Path(__file__).parents[4]
# Pieces of Cedar that hold no `;` outside of strings and comments.
PIECE = st.sampled_from(
    ['"a;b"', r'"say \"hi;\""', "// a ; comment\n", "permit(", ")", " ", "\n", "x", "//\n", '"//;"']
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped set."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "policies"))


@given(st.lists(st.lists(PIECE, max_size=8), max_size=6))
def test_a_statement_ends_where_no_string_and_no_comment_holds_the_end(parts: list[list[str]]) -> None:
    """However strings and comments stand, there are as many statements as ends, and none loses or gains text."""
    texts = ["".join(part) for part in parts]
    found = list(statements("f", "".join(f"x{text};" for text in texts)))
    assert [one.text for one in found] == [f"x{text};" for text in texts]


@given(st.text(alphabet='a;"\\/\n ', max_size=40))
def test_any_text_can_be_cut(text: str) -> None:
    """What is no Cedar at all is cut without an error, and each statement stands on the line that it names."""
    for one in statements("f", text):
        assert text.splitlines(keepends=True)[one.line - 1 :]
        assert one.text in text
        assert not one.text[0].isspace()
        assert "".join(text.split("\n")[one.line - 1 :]).strip().find(one.text.split("\n")[0].strip()) >= 0


def test_a_statement_begins_behind_comments() -> None:
    """The line of a statement is that of its first word, so that an error points at it."""
    [first, second] = statements("f", "// one\n\n// two\npermit(a);\n  // three\n\nforbid(b)\n;")
    assert (first.line, first.text) == (4, "permit(a);")
    assert (second.line, second.text) == (7, "forbid(b)\n;")


def test_the_version_is_that_of_what_decides(folder: Path) -> None:
    """Any change of a policy, of the schema, of retention or of a file's name is another version; tests are not."""
    before = read_files(folder).version
    assert before == read_files(SHIPPED).version
    (folder / "tests.yaml").write_text("cases: []\n")
    assert read_files(folder).version == before
    seen = {before}
    for name in ("models.cedar", "groundwire.cedarschema", "retention.yaml"):
        (folder / name).write_text((folder / name).read_text("utf-8") + "\n", "utf-8")
        seen.add(read_files(folder).version)
    (folder / "models.cedar").rename(folder / "other.cedar")
    seen.add(read_files(folder).version)
    assert len(seen) == 5


@pytest.mark.parametrize("missing", ["*.cedar", "*.cedarschema", "retention.yaml"])
def test_a_set_is_whole(folder: Path, missing: str) -> None:
    """A folder that lacks a part is refused, and the error says where to copy it from."""
    for path in folder.glob(missing):
        path.unlink()
    with pytest.raises(BadInput, match=str(SHIPPED)) as refused:
        read_files(folder)
    assert refused.value.code == "no_policy_set"


def test_two_schemas_are_none(folder: Path) -> None:
    """Which of two schemas counts would be a guess."""
    shutil.copy(folder / "groundwire.cedarschema", folder / "mine.cedarschema")
    with pytest.raises(BadInput, match="one"):
        read_files(folder)


def test_a_file_has_a_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the limit, and one that is no text, are refused by their path."""
    (folder / "models.cedar").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="UTF-8"):
        read_files(folder)
    (folder / "models.cedar").write_text("x" * 11)
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 10)
    with pytest.raises(BadInput, match="larger than 10 bytes"):
        read_files(folder)


NESTS = {
    "brackets": lambda n: "(" * n + "true" + ")" * n,
    "operators": lambda n: " && ".join(["true"] * n),
    "sums": lambda n: "+".join(["1"] * n) + " == 1",
    "attributes": lambda n: "principal" + ".a" * n + " == 1",
    "records": lambda n: "{a:" * n + "1" + "}" * n + " == 1",
    "sets": lambda n: "[" * n + "1" + "]" * n + " == 1",
    "conditions": lambda n: "if true then " * n + "true" + " else true" * n,
    "denials": lambda n: "!" * n + "true",
}


@pytest.mark.parametrize("kind", NESTS)
def test_no_policy_ends_the_process(folder: Path, kind: str) -> None:
    """What nests without end is refused with its place before Cedar's parser, which it would kill, sees it."""
    (folder / "zebra.cedar").write_text(f"\npermit (principal, action, resource) when {{ {NESTS[kind](20_000)} }};")
    with pytest.raises(BadInput) as refused:
        read_files(folder)
    assert refused.value.item == f"{folder / 'zebra.cedar'}:2"
    assert refused.value.code == "policy_too_large"


@pytest.mark.parametrize("kind", NESTS)
def test_the_largest_statement_does_not_end_the_process(folder: Path, kind: str) -> None:
    """A statement just within the limit comes to Cedar, which takes it or refuses it, in a process of its own."""
    rule = '@id("z") @owner("me") @description("x") permit (principal, action == Action::"start", resource)'
    (folder / "zebra.cedar").write_text(f"{rule} when {{ {NESTS[kind](files.MAX_NESTING - 8)} }};")
    script = (
        "import sys; from pathlib import Path; from ingest.errors import BadInput\n"
        "from orchestrator.policy.engine import PolicyConfig, load_policy\n"
        "try: load_policy(PolicyConfig(folder=Path(sys.argv[1])))\n"
        "except BadInput as error: print(error.code)\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("", "bad_policy", "policy_against_schema")


def test_a_long_list_is_no_nesting(folder: Path) -> None:
    """A policy may name thousands of things; strings and comments nest nothing."""
    names = ", ".join(f'"({number})"' for number in range(5_000))
    text = f"permit (principal, action, resource) when {{ [{names}].contains(principal.subject) }}; // {'(' * 5_000}"
    (folder / "zebra.cedar").write_text(text)
    assert read_files(folder).statements[-1].text.startswith("permit")
