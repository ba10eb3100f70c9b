"""From bytes to text: which encoding a file is written in."""

from __future__ import annotations

import codecs

from ingest.errors import FileRefused

_MARKS = (  # the longer ones first: UTF-32 begins as UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 65_536  # bytes from which an encoding is told
_DAMAGE = 0.001  # share of characters that may be unreadable in a text that is otherwise UTF-8


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    """The text of `data`, its lines ended by "\\n".

    By its byte order mark, as UTF-8, as `declared`, then by what its bytes are likely to be. Raises FileRefused with
    unreadable_encoding when nothing fits. Single damaged bytes in UTF-8 become U+FFFD.
    """
    return _decode(data, name, declared).replace("\r\n", "\n").replace("\r", "\n")


def _decode(data: bytes, name: str, declared: str | None) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    for codec in (wide_codec(data), "utf-8", declared):
        text = _try(data, codec) if codec else None
        if text is not None:
            return text
    text = data.decode("utf-8", errors="replace")
    if text.count("\ufffd") <= len(text) * _DAMAGE:
        return text
    return _guess(data, name)


def wide_codec(data: bytes) -> str | None:
    """The codec of a text in UTF-16 or UTF-32, with a byte order mark or without; None for any other.

    Without a mark zero bytes tell: in most alphabets they stand at the same places all over.
    """
    sample = data[: _SAMPLE // 4 * 4]
    for mark, codec in _MARKS:
        if sample.startswith(mark):
            return codec if codec != "utf-8" else None
    zeros = [sample[at::4].count(0) / max(1, len(sample[at::4])) for at in range(4)]
    if min(zeros[1:]) > 0.9 and zeros[0] < 0.1:
        return "utf-32-le"
    if min(zeros[:3]) > 0.9 and zeros[3] < 0.1:
        return "utf-32-be"
    if min(zeros[1], zeros[3]) > 0.1 and max(zeros[0], zeros[2]) < 0.05:
        return "utf-16-le"
    if min(zeros[0], zeros[2]) > 0.1 and max(zeros[1], zeros[3]) < 0.05:
        return "utf-16-be"
    return None


def _try(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    except (UnicodeError, LookupError):
        return None


def _guess(data: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE]).best() or from_bytes(data).best()
    if best is None:
        cause = "Its text is in an encoding that could not be told."
        raise FileRefused(name, "unreadable_encoding", cause, "Save it as UTF-8 and ingest it again.")
    return data.decode(best.encoding, errors="replace")
