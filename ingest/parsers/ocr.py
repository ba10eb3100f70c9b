"""Text from pixels through the program tesseract, when it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

INSTALL = "Install tesseract (on Debian: apt-get install tesseract-ocr) and try again."
DOTS_PER_INCH = 300  # what tesseract's models were made for
_LANGUAGES = re.compile(r"[A-Za-z0-9_]+(?:\+[A-Za-z0-9_]+)*")


class OcrFailed(Exception):
    """A picture could not be read; the message is a whole sentence."""


def find_tesseract() -> str | None:
    """Path of the program, None when it is not installed."""
    return shutil.which("tesseract")


def recognise(grey: NDArray[np.uint8], *, program: str, languages: str, seconds: float) -> list[str]:
    """The paragraphs of a picture [height, width] of grey levels, lines inside them apart by "\\n".

    Raises OcrFailed when the program fails, lacks a language or takes longer than `seconds`.
    """
    if not _LANGUAGES.fullmatch(languages):
        raise OcrFailed(f"{languages!r} is no list of languages as tesseract names them.")
    # a portable grey map (netpbm's PGM) needs no encoder and goes in through a pipe: no file, no shell
    picture = b"P5 %d %d 255\n" % (grey.shape[1], grey.shape[0]) + grey.tobytes()
    # with more threads than free cores tesseract takes many times as long (OpenMP threads wait for each other busily)
    command = ["env", "OMP_THREAD_LIMIT=1", program, "stdin", "stdout", "-l", languages, "--dpi", str(DOTS_PER_INCH)]
    try:
        done = subprocess.run(command, input=picture, capture_output=True, timeout=max(seconds, 0.1), check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise OcrFailed(f"Recognition took longer than {seconds:.0f} seconds.") from None
    except OSError as error:
        raise OcrFailed(f"tesseract could not be started ({error.strerror}).") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise OcrFailed(f"tesseract failed: {said[:300]}.")
    return paragraphs(done.stdout.decode("utf-8", "replace"))


def paragraphs(text: str) -> list[str]:
    """What tesseract prints, cut at blank lines and form feeds."""
    pieces = re.split(r"\n\s*\n|\f", text.replace("\r", ""))
    tidy = ("\n".join(line.strip() for line in piece.split("\n") if line.strip()) for piece in pieces)
    return [piece for piece in tidy if any(character.isalnum() for character in piece)]
