"""Prompts as folders: LIBRARY/NAME/VERSION/ with the files of one version, side by side and under version control."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ingest.errors import BadInput
from orchestrator.prompts.checking import problems, refuse_bad
from orchestrator.prompts.definition import HEADER, BadPrompt, Contracts, Problem, Prompt, SchemaCheck, read_prompt
from orchestrator.prompts.rendering import PromptLimits

SHIPPED: Final = Path(__file__).parent / "library"


def read_library(folder: Path, contracts: Contracts, limits: PromptLimits | None = None) -> tuple[Prompt, ...]:
    """Every prompt below a folder, checked; raises BadPrompt for the first that would fail in a run."""
    found = []
    for place in prompt_folders(folder):
        prompt = read_folder(place, contracts, limits)
        refuse_bad(prompt, limits=limits)
        found.append(prompt)
    return tuple(found)


def check_library(
    folder: Path, contracts: Contracts, *, schema_check: SchemaCheck | None = None, limits: PromptLimits | None = None
) -> dict[Path, tuple[Problem, ...]]:
    """What is wrong with each prompt below a folder, or with the one that it is; no problems: it would run.

    Raises BadInput when there is no prompt.
    """
    places = list(prompt_folders(folder))
    if not places:
        step = "Name a folder with prompt.yaml, or one with NAME/VERSION/prompt.yaml below it."
        raise BadInput(str(folder), "no_prompts", "The folder holds no prompt.", step)
    found: dict[Path, tuple[Problem, ...]] = {}
    for place in places:
        try:
            prompt = read_folder(place, contracts, limits)
            found[place] = problems(prompt, schema_check=schema_check, limits=limits)
        except BadPrompt as error:
            file = error.item.rpartition("/")[2]
            found[place] = (Problem(place=file, code=error.code, reason=error.cause, next_step=error.next_step),)
    return found


def prompt_folders(folder: Path) -> Iterator[Path]:
    """The folders that hold a version each: this one, or NAME/VERSION below it, sorted."""
    if (folder / HEADER).is_file():
        yield folder
        return
    for name in sorted(folder.iterdir() if folder.is_dir() else ()):
        for version in sorted(name.iterdir() if name.is_dir() else ()):
            if version.is_dir() and not version.name.startswith((".", "__")):
                yield version


def read_folder(folder: Path, contracts: Contracts, limits: PromptLimits | None = None) -> Prompt:
    """The prompt of one folder, which must bear its name and version. Raises BadPrompt."""
    where = f"{folder.absolute().parent.name}/{folder.absolute().name}"
    files = dict(_files(folder, where, limits or PromptLimits()))
    prompt = read_prompt(files, contracts, where=where, limits=limits)
    if prompt.label != where:
        cause = f"The folder is {where}, and prompt.yaml says {prompt.label}."
        raise BadPrompt(f"{where}/{HEADER}", "misplaced", cause, "Let the folders be NAME/VERSION.")
    return prompt


def _files(folder: Path, where: str, limits: PromptLimits) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.iterdir()):
        place = f"{where}/{file.name}"
        if file.name.startswith("."):
            continue  # what an editor or a system leaves behind
        if file.is_symlink() or not file.is_file():
            cause, step = "It is no plain file.", "A prompt is a flat folder of its own files."
            raise BadPrompt(place, "unknown_file", cause, step)
        if file.stat().st_size > 4 * limits.max_file_characters:  # bytes; at most four for a character
            cause = f"The file has more than {limits.max_file_characters} characters."
            raise BadPrompt(place, "oversized", cause, "Shorten it; long knowledge belongs into documents.")
        try:
            yield file.name, file.read_bytes().decode("utf-8").replace("\r\n", "\n")
        except (OSError, UnicodeDecodeError) as error:
            cause = f"The file cannot be read ({type(error).__name__})."
            raise BadPrompt(place, "unreadable", cause, "Save it as UTF-8 text that this process may read.") from error
