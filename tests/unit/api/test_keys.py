"""API keys and who they stand for."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
import yaml

from api.keys import OWNER_ROLES, hash_key, load_keys, make_first_key
from ingest.errors import BadInput
from ingest.tags import Classification


def test_the_first_key_opens_and_the_file_does_not_hold_it(tmp_path: Path) -> None:
    """The file holds a hash, is readable by its owner alone, and the key stands for the local user."""
    file = tmp_path / "api-keys.yaml"
    key = make_first_key(file, "ann")
    assert key not in file.read_text("utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    principal = load_keys(file).principal(key)
    assert principal is not None
    assert (principal.subject, principal.roles) == ("ann", {*OWNER_ROLES})
    assert principal.clearance is Classification.regulated


@pytest.mark.parametrize("wrong", ["", " ", "gw_", "x" * 10_000, "\ud800", "gw_\x00"])
def test_an_unknown_key_stands_for_nobody(tmp_path: Path, wrong: str) -> None:
    """Any other string is nobody."""
    make_first_key(tmp_path / "keys", "ann")
    assert load_keys(tmp_path / "keys").principal(wrong) is None


def test_a_first_key_never_replaces_a_file(tmp_path: Path) -> None:
    """Keys that exist are not overwritten."""
    make_first_key(tmp_path / "keys", "ann")
    with pytest.raises(FileExistsError):
        make_first_key(tmp_path / "keys", "eve")


def test_a_key_has_no_rights_but_those_named(tmp_path: Path) -> None:
    """With only a subject a key reads public documents of the default tenant, and curates nothing."""
    (tmp_path / "keys").write_text(yaml.safe_dump([{"sha256": hash_key("k"), "subject": "bob"}]))
    principal = load_keys(tmp_path / "keys").principal("k")
    assert principal is not None
    assert (principal.tenant, principal.groups, principal.roles) == ("default", frozenset(), frozenset())
    assert principal.clearance is Classification.public


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("a: b", "list"),
        ("- subject: x", "sha256"),
        ("- sha256: abc\n  subject: x", "sha256"),
        (f"- sha256: '{'0' * 64}'\n  subject: ''", "subject"),
        (f"- sha256: '{'0' * 64}'\n  subject: x\n  rols: [a]", "rols"),
        (f"- sha256: '{'0' * 64}'\n  subject: x\n  clearance: top", "clearance"),
        ("[", "read"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, content: str, named: str) -> None:
    """The error names the file, the entry and the field; a mistyped right never passes unseen."""
    (tmp_path / "keys").write_text(content)
    with pytest.raises(BadInput, match=named) as caught:
        load_keys(tmp_path / "keys")
    assert str(tmp_path / "keys") in caught.value.item
