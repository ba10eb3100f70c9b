"""What one file may cost. Every figure is a setting; the defaults fit a laptop."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """Limits on one file, from before it is opened until it is parsed."""

    max_bytes: int = 100_000_000  # size on disk
    max_unpacked_bytes: int = 400_000_000  # sum of the members of a zip container
    max_ratio: float = 200.0  # unpacked to packed size of a member of more than 1 MB
    max_members: int = 10_000  # entries of a zip container
    max_nesting: int = 200  # depth of a markup tree
    max_pages: int = 5_000  # pages, slides or sheets
    max_characters: int = 20_000_000  # of text in one document
    seconds: float = 120.0  # of parsing, wall clock; then the worker is ended
    memory_bytes: int = 3_000_000_000  # address space that a worker may add while it parses one file
    ocr: bool = True  # recognise pages without text when tesseract is installed
    ocr_languages: str = "eng"  # as tesseract names them, joined by "+"
    max_ocr_pages: int = 50  # of one document
    max_ocr_pixels: int = 40_000_000  # of a picture handed to tesseract: about A3 at 400 dots per inch
    ocr_share: float = 0.75  # of `seconds` that recognition may take; the rest is for what comes after
    max_style_rules: int = 5_000  # of a page's style sheets; the rest is not looked at
    max_hidden_characters: int = 20_000  # of one hidden text that are kept as its record
    max_embedded: int = 3  # levels of files within files, such as a mail attached to a mail
