"""Recognition through tesseract; a small script stands in for the program where its behaviour is the question."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers.ocr import OcrFailed, find_tesseract, paragraphs, recognise

GREY = np.full((4, 6), 200, np.uint8)


def program(folder: Path, body: str) -> str:
    """A program that runs `body` in Python."""
    path = folder / "tesseract"
    path.write_text(f"#!{sys.executable}\nimport sys, time\n{body}\n")
    path.chmod(0o700)
    return str(path)


def test_the_picture_goes_in_as_a_grey_map_and_the_languages_as_an_argument(tmp_path: Path) -> None:
    """What the program receives is a PGM of the right size, with no file and no shell in between."""
    body = "data = sys.stdin.buffer.read(); print(data[:11].decode()); print(len(data), *sys.argv[1:])"
    found = recognise(GREY, program=program(tmp_path, body), languages="eng+deu", seconds=20)
    assert found == ["P5 6 4 255", "35 stdin stdout -l eng+deu --dpi 300"]


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    """The deadline holds."""
    with pytest.raises(OcrFailed, match="longer than"):
        recognise(GREY, program=program(tmp_path, "time.sleep(60)"), languages="eng", seconds=0.3)


def test_what_the_program_complains_about_is_told(tmp_path: Path) -> None:
    """A missing language is named in the error."""
    body = "sys.stderr.write('Failed loading language xyz'); sys.exit(1)"
    with pytest.raises(OcrFailed, match="Failed loading language xyz"):
        recognise(GREY, program=program(tmp_path, body), languages="xyz", seconds=20)


def test_a_program_that_is_gone_is_told(tmp_path: Path) -> None:
    """A path that no longer exists is an error with a cause, not a crash."""
    with pytest.raises(OcrFailed, match=r"tesseract failed: .*nothing"):
        recognise(GREY, program=str(tmp_path / "nothing"), languages="eng", seconds=20)


@pytest.mark.parametrize("languages", ["", "eng --psm 0", "-l", "eng;ls", "../eng"])
def test_languages_cannot_carry_other_arguments(languages: str) -> None:
    """Only names joined by a plus sign are passed on."""
    with pytest.raises(OcrFailed, match="list of languages"):
        recognise(GREY, program="/bin/false", languages=languages, seconds=1)


@given(st.text("ab \n\f\r", max_size=60))
def test_paragraphs_are_tidy(text: str) -> None:
    """No blank lines, no blanks at line ends, no letter lost."""
    found = paragraphs(text)
    assert all(line == line.strip() and line for piece in found for line in piece.split("\n"))
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.skipif(find_tesseract() is None, reason="tesseract is not installed")
def test_letters_are_recognised() -> None:
    """The real program reads a drawn line."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (900, 200), 255)
    ImageDraw.Draw(image).text((40, 60), "Harbour dues 1204", fill=0, font=ImageFont.load_default(60))
    found = recognise(np.asarray(image), program=find_tesseract() or "", languages="eng", seconds=60)
    assert found == ["Harbour dues 1204"]
