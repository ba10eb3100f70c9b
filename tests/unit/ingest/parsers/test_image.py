"""Pictures as documents."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import ocr
from ingest.parsers.image import parse

LIMITS = ParseLimits()
SIGNATURES = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"BM", b"GIF89a"]
FORMATS = ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF"]


def drawn(text: str = "Harbour dues 1204", mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (900, 200), "white" if mode == "RGB" else 0)
    ink = "black" if mode == "RGB" else (0, 0, 0, 255)
    ImageDraw.Draw(image).text((40, 60), text, fill=ink, font=ImageFont.load_default(60))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class Tesseract:
    """Stands in for the program: keeps the pictures and answers with one paragraph each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[np.ndarray] = []
        monkeypatch.setattr(ocr, "find_tesseract", lambda: "/usr/bin/tesseract")
        monkeypatch.setattr(ocr, "recognise", self._recognise)

    def _recognise(self, grey: np.ndarray, **_: object) -> list[str]:
        self.seen.append(grey)
        return [f"paragraph {len(self.seen)}"]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_decoded_to_grey(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The program gets the picture in its own size, dark letters on light ground."""
    tesseract = Tesseract(monkeypatch)
    document = parse(saved(drawn(), kind), "a", LIMITS)
    assert [element.text for element in document.elements] == ["paragraph 1"]
    assert document.media_type == f"image/{kind.lower()}"
    (grey,) = tesseract.seen
    assert grey.shape == (200, 900)
    assert grey.dtype == np.uint8
    assert grey.min() < 60
    assert np.median(grey) > 200


def test_transparent_ground_is_white(monkeypatch: pytest.MonkeyPatch) -> None:
    """Black letters on nothing do not turn into black on black."""
    tesseract = Tesseract(monkeypatch)
    parse(saved(drawn(mode="RGBA"), "PNG"), "a.png", LIMITS)
    assert np.median(tesseract.seen[0]) == 255
    assert tesseract.seen[0].min() == 0


def test_a_camera_picture_is_turned_upright(monkeypatch: pytest.MonkeyPatch) -> None:
    """The orientation that a camera notes is applied."""
    tesseract = Tesseract(monkeypatch)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    parse(saved(drawn(), "JPEG", exif=exif), "a.jpg", LIMITS)
    assert tesseract.seen[0].shape == (900, 200)


def test_pictures_of_a_tiff_are_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each picture is a page counted from 1, up to the limit on recognition, which leaves a note."""
    Tesseract(monkeypatch)
    data = saved(drawn(), "TIFF", save_all=True, append_images=[drawn("two"), drawn("three")])
    document = parse(data, "a.tif", ParseLimits(max_ocr_pages=2))
    assert [(element.text, element.page) for element in document.elements] == [("paragraph 1", 1), ("paragraph 2", 2)]
    assert document.pages == 3
    assert document.notes == ("Pages from 3 on were not read: that is the limit for recognition.",)


def refusal(data: bytes, limits: ParseLimits = LIMITS) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        parse(data, "a.png", limits)
    assert caught.value.item == "a.png"
    return caught.value


def test_without_tesseract_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal says what to install."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: None)
    error = refusal(saved(drawn(), "PNG"))
    assert error.code == "needs_tesseract"
    assert "tesseract-ocr" in error.next_step


def test_recognition_can_be_switched_off() -> None:
    """Without recognition a picture is refused, whatever is installed."""
    assert refusal(saved(drawn(), "PNG"), ParseLimits(ocr=False)).code == "needs_tesseract"


def test_a_picture_without_text_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing recognised is an error."""
    Tesseract(monkeypatch)
    monkeypatch.setattr(ocr, "recognise", lambda grey, **_: [])
    assert refusal(saved(drawn(), "PNG")).code == "no_text"


def test_too_many_pixels_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file that unpacks to a huge picture is refused by its header."""
    tesseract = Tesseract(monkeypatch)
    assert refusal(saved(drawn(), "PNG"), ParseLimits(max_ocr_pixels=1000)).code == "too_large"
    assert tesseract.seen == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_cut_picture_is_unreadable(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Half a picture is refused."""
    Tesseract(monkeypatch)
    data = saved(drawn(), kind)
    assert refusal(data[: len(data) // 2]).code == "unreadable"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"BM", b"GIF89a"]), st.binary(max_size=400)
)
def test_arbitrary_bytes_raise_nothing_but_a_refusal(start: bytes, data: bytes) -> None:
    """Whatever the bytes, the answer is a refusal."""
    with pytest.raises(FileRefused):
        parse(start + data, "a.png", ParseLimits(ocr=False))


@pytest.mark.skipif(ocr.find_tesseract() is None, reason="tesseract is not installed")
def test_a_picture_is_read() -> None:
    """With tesseract the drawn text comes out."""
    document = parse(saved(drawn(), "PNG"), "a.png", LIMITS)
    assert [element.text for element in document.elements] == ["Harbour dues 1204"]
