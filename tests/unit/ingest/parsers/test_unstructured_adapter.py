from __future__ import annotations

import io
import subprocess
import sys

import pytest

from ingest.parsers.unstructured_adapter import _rows, _RuleTokeniser

SCRIPT = """
import socket, sys
def refuse(*args, **kwargs): raise AssertionError("a connection was opened")
socket.socket.connect = refuse
socket.create_connection = refuse
from ingest.parsers.unstructured_adapter import partition_pptx
print(len(partition_pptx(sys.stdin.buffer.read())), "torch" in sys.modules)
"""


def test_it_works_offline_and_without_torch() -> None:
    """Partitioning a document opens no connection, prints nothing of its own and loads no torch."""
    from pptx import Presentation

    document = Presentation()
    slide = document.slides.add_slide(document.slide_layouts[1])
    slide.shapes.title.text = "Leave"
    slide.placeholders[1].text = "Up to five days move to the next year. Ask your manager, who is likely to agree."
    out = io.BytesIO()
    document.save(out)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=out.getvalue(), capture_output=True, timeout=100, check=True
    )
    assert done.stdout == b"2 False\n"
    assert done.stderr == b""


@pytest.mark.parametrize(
    ("html", "rows"),
    [
        ("<table><tr><td>a</td><td>b c</td></tr><tr><td/><td>d</td></tr></table>", [["a", "b c"], ["", "d"]]),
        ("<table><tbody><tr><th>one<br/>two</th></tr></tbody></table>", [["one two"]]),
        ("<table><tr><td><table><tr><td>in</td></tr></table></td></tr></table>", [["in"]]),
    ],
)
def test_tables_become_rows(html: str, rows: list[list[str]]) -> None:
    """A table's own rows and cells; a nested table comes once, as text of its cell."""
    assert _rows(html) == rows


def test_the_rule_tokeniser_gives_what_is_used_of_spacy() -> None:
    """Words with a tag that tells verbs, and sentences that end where a full stop does."""
    words = _RuleTokeniser()("The plan was changed. It's 3.5 days long!")
    assert [(word.text, word.tag_) for word in words][:5] == [
        ("The", "NN"), ("plan", "NN"), ("was", "VB"), ("changed", "VB"), (".", "NN"),
    ]  # fmt: skip
    assert [sentence.text for sentence in words.sents] == ["The plan was changed.", "It's 3.5 days long!"]
