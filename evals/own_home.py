"""A home of its own for a corpus under evaluation, so that a measurement meets nothing but what it measures."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from orchestrator.settings import Settings


def own_home(settings: Settings, name: str, corpus: Sequence[Path]) -> Settings:
    """The settings with a home below the given one, on this machine alone; the same for the same corpus and encoder.

    The corpus is ingested there once, and found again by the next run.
    """
    encoder = (settings.encoder_model, settings.encoder_max_tokens, settings.query_prefix, settings.passage_prefix)
    mark = hashlib.sha256(f"{fingerprint(corpus)}{encoder}".encode()).hexdigest()[:12]
    home = settings.home / "evals" / f"{name}-{mark}"
    return settings.model_copy(update={"home": home, "database_url": None, "qdrant_url": None})


def fingerprint(paths: Sequence[Path]) -> str:
    """Of the names and contents of these files and folders: two revisions of a set never share one."""
    digest = hashlib.sha256()
    for given in paths:
        files = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        for file in files:
            name = file.relative_to(given.parent).as_posix()
            with file.open("rb") as content:
                digest.update(f"{name}\0{hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()[:12]
