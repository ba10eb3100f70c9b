"""Files that are tables: CSV and TSV here, workbooks through `xlsx` and `ods`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import PurePath

from ingest.charset import decode
from ingest.codepoints import reveal
from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.rows import sheet_elements

_DELIMITERS = ",;\t|"
_SAMPLE_LINES = 50  # from which the delimiter is told


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Rows in windows with the header repeated, and what is in hidden rows, columns and sheets.

    Raises FileRefused: unreadable_encoding, unreadable, too_many_pages (sheets).
    """
    if not data.startswith(b"PK\x03\x04"):
        return reveal(_delimited(decode(data, name), name, limits))
    from ingest.parsers import ods, xlsx

    is_ods = b"opendocument" in data[:120]  # the first member is stored and says so (ODF 1.3 part 2, section 3.3)
    return reveal((ods if is_ods else xlsx).parse(data, name, limits))


def _delimited(text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    tabs = PurePath(name).suffix.lower() in (".tsv", ".tab")
    delimiter = "\t" if tabs else _delimiter(text)
    csv.field_size_limit(limits.max_characters)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        cause = f"Its rows cannot be told apart ({error})."
        raise FileRefused(name, "unreadable", cause, "Export it again as CSV in UTF-8.") from error
    media_type = "text/tab-separated-values" if tabs else "text/csv"
    return ParsedDocument(media_type=media_type, elements=tuple(sheet_elements(rows)))


def _delimiter(text: str) -> str:
    """The one that cuts most of the first lines into the same number of columns, more than one."""
    lines = text.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]

    def agreement(delimiter: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if len(row) > 1)
        width, lines_of_it = widths.most_common(1)[0] if widths else (0, 0)
        return lines_of_it, width

    return max(_DELIMITERS, key=agreement)
