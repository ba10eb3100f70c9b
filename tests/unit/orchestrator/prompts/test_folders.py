"""Prompts as folders, and the ones that ship."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.errors import BadInput
from orchestrator.egress.contracts import CONTRACTS
from orchestrator.prompts.definition import BadPrompt
from orchestrator.prompts.folders import SHIPPED, check_library, read_folder, read_library
from tests.doubles.prompts import prompt_files, write_prompt

RELEASED = {  # a version never changes: what is corrected gets a new one beside it
    "classification/1.0.0": "ec4983ee883f2f872f356d890d5e55a24aff698079fc983196b5604b4d9b5ff1",
    "critique/1.0.0": "d26983386f258c0c328783177cb90ef217fc9004775c1a18450e3c3e8cb0af7a",
    "drafted-message/1.0.0": "684403f87fcd298d809e26e172befce0ccb66bc43c4f085ae0349b55666f8594",
    "extraction/1.0.0": "4cd8c1b957d9901409a13cce7750408f79666deba4197af5764eec74846437e3",
    "grounded-answer/1.0.0": "97986747b05bed2828d39a731830c01979dff0268818f8621277195ea9180049",
    "summary/1.0.0": "4818caa96141fc9fcc13efd44449e40c996715d836fef5af4035e1a2b929b9c4",
}


def test_what_ships_is_good_and_does_not_change() -> None:
    """Each shipped version is as it was when it was released, and would run; every contract has a prompt."""
    prompts = read_library(SHIPPED, CONTRACTS)
    assert {prompt.label: prompt.content_hash for prompt in prompts} == RELEASED
    assert {prompt.contract for prompt in prompts} == set(CONTRACTS)


def test_versions_lie_side_by_side(tmp_path: Path) -> None:
    """Every version of every name is read; files of editors and other clutter are left alone."""
    for version in ("1.0.0", "1.1.0"):
        folder = write_prompt(tmp_path, prompt_files(version=version))
        (folder / ".DS_Store").write_bytes(b"\xff")
    (tmp_path / "README.md").write_text("x")
    (tmp_path / "greet" / "__pycache__").mkdir()
    assert [prompt.label for prompt in read_library(tmp_path, CONTRACTS)] == ["greet/1.0.0", "greet/1.1.0"]
    assert read_library(tmp_path / "missing", CONTRACTS) == ()


def test_line_ends_do_not_count(tmp_path: Path) -> None:
    """A checkout with other line ends is the same version."""
    folder = write_prompt(tmp_path, prompt_files("One.\nTwo."))
    before = read_folder(folder, CONTRACTS)
    file = folder / "system.md.j2"
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_folder(folder, CONTRACTS).content_hash == before.content_hash


def test_a_folder_has_the_name_of_its_prompt(tmp_path: Path) -> None:
    """A copy that was not renamed cannot pass for another version."""
    folder = write_prompt(tmp_path, prompt_files())
    with pytest.raises(BadPrompt, match=r"greet/1\.0\.0") as refusal:
        read_folder(folder.rename(folder.parent / "1.0.1"), CONTRACTS)
    assert refusal.value.code == "misplaced"


def test_only_own_plain_files_are_read(tmp_path: Path) -> None:
    """No link leads out of the folder, no folder hides in it, no pipe blocks the start, no large file is read."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    folder = write_prompt(tmp_path / "library", prompt_files())
    odd = folder / "system.de.md.j2"
    for make, code in (
        (lambda: odd.symlink_to(secret), "unknown_file"),
        (odd.mkdir, "unknown_file"),
        (lambda: os.mkfifo(odd), "unknown_file"),
        (lambda: odd.write_bytes(b"x" * 90_000), "oversized"),
        (lambda: odd.write_bytes(b"\xff\xfe"), "unreadable"),
    ):
        make()  # type: ignore[no-untyped-call]
        with pytest.raises(BadPrompt) as refusal:
            read_folder(folder, CONTRACTS)
        assert refusal.value.code == code
        odd.rmdir() if odd.is_dir() and not odd.is_symlink() else odd.unlink()


def test_a_check_goes_through_all(tmp_path: Path) -> None:
    """Each prompt is told with all that is wrong with it, and one bad prompt hides no other."""
    bad = write_prompt(tmp_path, prompt_files("{{ a }}\n{{ b }}"))
    worse = write_prompt(tmp_path, prompt_files(name="other", contract="poem"))
    good = write_prompt(tmp_path, prompt_files(name="third"))
    found = check_library(tmp_path, CONTRACTS)
    assert [one.place for one in found[bad]] == ["system.md.j2:1", "system.md.j2:2"]
    assert [(one.place, one.code) for one in found[worse]] == [("prompt.yaml", "unknown_contract")]
    assert found[good] == ()
    assert check_library(good, CONTRACTS) == {good: ()}
    with pytest.raises(BadInput, match="no prompt"):
        check_library(tmp_path / "other" / "1.0.0" / "nothing", CONTRACTS)
