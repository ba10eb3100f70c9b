"""The formats that are read, and how each shows itself: media types, parsers, extensions and signatures."""

from __future__ import annotations

_OFFICE = "application/vnd.openxmlformats-officedocument."
_MACRO = "application/vnd.ms-"
_ODF = "application/vnd.oasis.opendocument."

DOCX = _OFFICE + "wordprocessingml.document"
PPTX = _OFFICE + "presentationml.presentation"
XLSX = _OFFICE + "spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroEnabled.12"
FLAT_WORD = "application/vnd.ms-word.flat+xml"  # Word's "XML document": the parts of a DOCX in one XML file

# Content type of the main part of an Office Open XML package -> media type of the file (ECMA-376 part 1, annex A).
OFFICE_MAIN_PARTS = {
    _OFFICE + "wordprocessingml.document.main+xml": DOCX,
    _OFFICE + "wordprocessingml.template.main+xml": _OFFICE + "wordprocessingml.template",
    _MACRO + "word.document.macroEnabled.main+xml": _MACRO + "word.document.macroEnabled.12",
    _MACRO + "word.template.macroEnabledTemplate.main+xml": _MACRO + "word.template.macroEnabled.12",
    _OFFICE + "presentationml.presentation.main+xml": PPTX,
    _OFFICE + "presentationml.slideshow.main+xml": _OFFICE + "presentationml.slideshow",
    _OFFICE + "presentationml.template.main+xml": _OFFICE + "presentationml.template",
    _MACRO + "powerpoint.presentation.macroEnabled.main+xml": _MACRO + "powerpoint.presentation.macroEnabled.12",
    _MACRO + "powerpoint.slideshow.macroEnabled.main+xml": _MACRO + "powerpoint.slideshow.macroEnabled.12",
    _OFFICE + "spreadsheetml.sheet.main+xml": XLSX,
    _OFFICE + "spreadsheetml.template.main+xml": _OFFICE + "spreadsheetml.template",
    _MACRO + "excel.sheet.macroEnabled.main+xml": _MACRO + "excel.sheet.macroEnabled.12",
    _MACRO + "excel.sheet.binary.macroEnabled.main": XLSB,
}


def _office_parser(media_type: str) -> str:
    return "docx" if "word" in media_type else "tables" if "sheet" in media_type else "pptx"


# Media type -> module of ingest.parsers that reads it. This is the allow-list.
PARSERS = {
    "application/pdf": "pdf",
    **{f"image/{kind}": "image" for kind in ("png", "jpeg", "tiff", "bmp", "webp", "gif")},
    "text/html": "html",
    "application/xhtml+xml": "html",
    "text/markdown": "markdown",
    **dict.fromkeys(("text/plain", "text/vtt", "text/x-rst", "text/calendar"), "text"),
    **dict.fromkeys(("application/json", "application/x-ndjson", "application/xml"), "text"),
    **dict.fromkeys(("text/csv", "text/tab-separated-values"), "tables"),
    **{kind: _office_parser(kind) for kind in OFFICE_MAIN_PARTS.values()},
    XLSB: "legacy",
    FLAT_WORD: "docx",
    **{_ODF + kind: "odf" for kind in ("text", "text-template", "presentation", "presentation-template", "graphics")},
    **{_ODF + kind: "tables" for kind in ("spreadsheet", "spreadsheet-template")},
    **{_ODF + kind + "-flat-xml": "odf" for kind in ("text", "presentation", "spreadsheet", "graphics")},
    "application/epub+zip": "epub",
    "application/rtf": "rtf",
    **dict.fromkeys(("message/rfc822", "application/mbox", "application/vnd.ms-outlook"), "mail"),
    **dict.fromkeys(("application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"), "legacy"),
}

# Extensions that tell text formats apart.
TEXT_EXTENSIONS = {
    **dict.fromkeys(("md", "markdown", "mdx"), "text/markdown"),
    **dict.fromkeys(("html", "htm"), "text/html"),
    **dict.fromkeys(("eml", "mht", "mhtml"), "message/rfc822"),
    **dict.fromkeys(("ndjson", "jsonl"), "application/x-ndjson"),
    **dict.fromkeys(("txt", "text", "log"), "text/plain"),
    **dict.fromkeys(("tsv", "tab"), "text/tab-separated-values"),
    "xhtml": "application/xhtml+xml",
    "mbox": "application/mbox",
    "json": "application/json",
    "xml": "application/xml",
    "csv": "text/csv",
    "vtt": "text/vtt",
    "rst": "text/x-rst",
    "ics": "text/calendar",
}

# Extensions whose content is never plain text -> the parser their content must belong to. Not listed are those that
# programs have always put on other formats: .doc, .xls, .ppt and .dot hold RTF, HTML, XML and the newer formats too.
BINARY_EXTENSIONS = {
    "pdf": "pdf",
    **dict.fromkeys(("png", "jpg", "jpeg", "tif", "tiff", "bmp", "webp", "gif"), "image"),
    **dict.fromkeys(("docx", "docm", "dotx", "dotm"), "docx"),
    **dict.fromkeys(("pptx", "pptm", "ppsx", "ppsm", "potx"), "pptx"),
    **dict.fromkeys(("xlsx", "xlsm", "xltx", "ods", "ots"), "tables"),
    "xlsb": "legacy",
    **dict.fromkeys(("odt", "ott", "odp", "otp", "odg"), "odf"),
    "epub": "epub",
    "rtf": "rtf",
    "msg": "mail",
}

SIGNATURES = (  # of formats that are read; offset 0
    (b"{\\rtf", "application/rtf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"GIF8", "image/gif"),
)
ARCHIVES = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
UNREAD = (  # formats that people have and that nothing here reads
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d", "a OneNote section"),
    (b"ITSF", "a compiled help file (CHM)"),
    (b"HWP Document File", "a Hangul (HWP) document"),
    (b"\x78\x9f\x3e\x22", "a mail attachment container (winmail.dat)"),
    (b"\xffWPC", "a WordPerfect document"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
)
