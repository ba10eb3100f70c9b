"""Pictures: what tesseract reads in them. The sole importer of Pillow."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingest.elements import Element, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import ocr

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """The text in a picture, paragraph by paragraph; every picture of a TIFF is a page.

    Raises FileRefused with code unreadable, too_many_pages, too_large (pixels), needs_tesseract or no_text.
    """
    deadline = time.monotonic() + limits.ocr_share * limits.seconds
    image = _open(data, name, limits)
    pages = getattr(image, "n_frames", 1) if image.format == "TIFF" else 1
    media_type = f"image/{(image.format or '').lower()}"
    if pages > limits.max_pages:
        cause = f"It has {pages} pages; the limit is {limits.max_pages}."
        raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
    program = _program(name, limits)
    elements: list[Element] = []
    notes: list[str] = []
    for number, grey in enumerate(_frames(image, min(pages, limits.max_ocr_pages), name, limits), start=1):
        try:
            seconds = deadline - time.monotonic()
            found = ocr.recognise(grey, program=program, languages=limits.ocr_languages, seconds=seconds)
        except ocr.OcrFailed as error:
            notes.append(f"Page {number} was not read: {error}")
            continue
        elements += [Element(text=text, page=number if pages > 1 else None) for text in found]
    if pages > limits.max_ocr_pages:
        notes.append(f"Pages from {limits.max_ocr_pages + 1} on were not read: that is the limit for recognition.")
    if not elements:
        cause = " ".join(("No text was recognised in it.", *notes))
        raise FileRefused(name, "no_text", cause, "Leave it out, or scan it with more dots per inch.")
    return ParsedDocument(
        media_type=media_type, elements=tuple(elements), pages=pages if pages > 1 else None, notes=tuple(notes)
    )


def _program(name: str, limits: ParseLimits) -> str:
    if not limits.ocr:
        cause = "It is a picture and recognition of text is switched off."
        raise FileRefused(name, "needs_tesseract", cause, "Switch OCR on, or leave the file out.")
    program = ocr.find_tesseract()
    if program is None:
        cause = "It is a picture, and the program that reads text in pictures is not installed."
        raise FileRefused(name, "needs_tesseract", cause, ocr.INSTALL)
    return program


def _open(data: bytes, name: str, limits: ParseLimits) -> Image:
    """Reads the header only. Pillow's own guard on pixels is a warning that is raised here as an error."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(name, limits) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Warning) as error:
        raise _unreadable(name) from error
    if image.width * image.height > limits.max_ocr_pixels:
        raise _too_large(name, limits)
    return image


def _too_large(name: str, limits: ParseLimits) -> FileRefused:
    cause = f"It has more than {limits.max_ocr_pixels // 1_000_000} million pixels."
    return FileRefused(name, "too_large", cause, "Save a smaller copy and try again.")


def _unreadable(name: str) -> FileRefused:
    cause = "It is no whole picture of its type."
    return FileRefused(name, "unreadable", cause, "Open it in a viewer and save it again, whole.")


def _frames(image: Image, count: int, name: str, limits: ParseLimits) -> Iterator[NDArray[np.uint8]]:
    """Each picture upright, in grey, on white. Raises FileRefused when one cannot be decoded."""
    import numpy as np
    from PIL import Image, ImageOps

    for index in range(count):
        try:
            image.seek(index)
            if image.width * image.height > limits.max_ocr_pixels:
                raise _too_large(name, limits)
            upright = ImageOps.exif_transpose(image)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                coloured = upright.convert("RGBA")
                paper = Image.new("RGBA", coloured.size, "white")
                upright = Image.alpha_composite(paper, coloured)
            yield np.asarray(upright.convert("L"))
        except FileRefused:
            raise
        except Exception as error:
            raise _unreadable(name) from error
