"""Keys are made once, are their owner's alone, and are missed when they are gone."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.errors import DependencyDown
from orchestrator.audit import crypto
from orchestrator.audit.keys import KeyFolder, key_id


def test_keys_are_made_on_first_use_and_stay(tmp_path: Path) -> None:
    """Another object over the folder has the same ones; files and folder are closed to others."""
    keys = KeyFolder(tmp_path / "keys")
    signing, master = keys.signing_key(), keys.master_key()
    again = KeyFolder(tmp_path / "keys")
    assert (again.signing_key(), again.master_key()) == (signing, master)
    assert signing != master
    public = crypto.public_key(signing)
    assert again.public_keys() == {key_id(public): public}
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").rglob("*") if path.is_file()}
    assert modes == {0o600}
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700


def test_processes_that_begin_together_agree(tmp_path: Path) -> None:
    """Of many that find no key at the same moment all get one and the same, and nothing is left lying about."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: KeyFolder(tmp_path).signing_key(), range(32)))
    assert len(found) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["public", "signing.key"]


def test_a_rotation_keeps_the_public_half_of_the_old_key(tmp_path: Path) -> None:
    """The private half is gone; both public ones count."""
    keys = KeyFolder(tmp_path)
    old = keys.signing_key()
    fresh = keys.rotate()
    assert set(keys.public_keys()) == {key_id(crypto.public_key(old)), fresh}
    assert key_id(crypto.public_key(keys.signing_key())) == fresh
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and old.hex() in path.read_text()]


@pytest.mark.parametrize("content", ["", "no hex", "ab" * 31])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: str) -> None:
    """It is named, and never made anew over what was there; the error shows nothing of it."""
    (tmp_path / "master.key").write_text(content)
    with pytest.raises(DependencyDown, match=r"master\.key") as caught:
        KeyFolder(tmp_path).master_key()
    assert not content or content not in str(caught.value)
    assert (tmp_path / "master.key").read_text() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "keys").write_text("")
    with pytest.raises(DependencyDown, match="keys"):
        KeyFolder(tmp_path / "keys").signing_key()
