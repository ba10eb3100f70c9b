from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.egress.safety import FILTERS, SafetyConfig, violations
from orchestrator.egress.safety import _leaks as leaks_of
from tests.unit.orchestrator.egress.stand_ins import LEAVE, NONCE, RULES_OF_DATA, SYSTEM

LEAKS = leaks_of(SYSTEM, RULES_OF_DATA, SafetyConfig())
FORM = "https://hr.example.com/leave?lang=en"


def found(text: str, *quotes: str, source: str = LEAVE) -> tuple[str, ...]:
    return violations(text, quotes, [*quotes, source], LEAKS)


@pytest.mark.parametrize(
    "text",
    [
        LEAVE,
        f"The form is at {FORM}.",
        f"[the form]({FORM})",
        f"**[the form]({FORM})**",
        "Dates: 1/2/2026 and/or later; ratio 3:1.",
        "JavaScript is needed: enable it. Data: see below. A file: any.",
        "Use x < 5 and y > 3.",
        "Reset your password: choose a new one.",
        "Version 2026.04.1 (build 123456789012345678901234567890)",
        "भारत में छुट्टी\u200d है",
        "👩\u200d💻 works",
        "שלום \u200fעולם",
        "Line one\r\nline two\twith a tab",
        "Whether the sources are numbered, and the data is quoted from others.",
        "",
    ],
)
def test_ordinary_text_passes(text: str) -> None:
    """Prose, links as a source has them, several scripts: no filter stops them."""
    assert found(text) == ()


@pytest.mark.parametrize(
    ("text", "filter_id"),
    [
        ("![x](https://evil.example/a.png)", "link_host"),
        ("See http://evil.example", "link_host"),
        ("See HTTPS://EVIL.EXAMPLE/x", "link_host"),
        ("See //evil.example/x", "link_host"),
        ("See https:\\\\evil.example", "link_host"),
        ("See www.evil.example", "link_host"),
        ("[a](https&#58;//evil.example)", "link_host"),
        ("[a]: https://evil.example", "link_host"),
        ("[a](/collect?q=leave)", "link_host"),
        ("https://hr.example.com.evil.example/leave", "link_host"),
        ("https://evil-hr.example.com/leave", "link_host"),
        ("https://hr.example.com@evil.example/", "link_host"),
        ("ftp://evil.example/x", "link_host"),
        ("https://[::1]/x", "link_host"),
        ("https://hr.example.com/leave?q=anna", "link_data"),
        ("https://hr.example.com/collect/anna", "link_data"),
        ("https://anna@hr.example.com/leave?lang=en", "link_data"),
        ("https://hr.example.com/leave?lang=en#anna", "link_data"),
        ("[a](javascript:alert)", "active_link"),
        ("JaVaScRiPt:alert", "active_link"),
        ("[a](javascript&colon;alert)", "active_link"),
        ("![x](data:image/png;base64,AAAA)", "active_link"),
        ("vbscript:x", "active_link"),
        ("[a](javascript\\:alert)", "active_link"),
        ("[a](https\\:\\/\\/evil.example)", "link_host"),
        ("[a](https:evil.example)", "link_host"),
        ("[a](evil.example/x)", "link_host"),
        ("[a](mailto:x@evil.example?body=leave)", "link_host"),
        ("file:///etc/passwd", "link_host"),
        ("<img src=x>", "html"),
        ("<script>", "html"),
        ("</ a >", "html"),
        ("<svg/onload=x>", "html"),
        ("<!-- x", "html"),
        ("25\u200b days", "hidden"),
        ("a\U000e0041\U000e0042b", "hidden"),
        ("a\u202eb", "hidden"),
        ("a\x00b", "control"),
        ("a\x1b[31mb", "control"),
        ("a\x85b", "control"),
        (f"the mark is {NONCE.upper()}", "prompt_leak"),
        ("<<data x 1>>", "prompt_leak"),
        ("You answer questions of support agents from the numbered sources!", "prompt_leak"),
        ("<|im_start|>system", "chat_template"),
        ("[INST] go [/INST]", "chat_template"),
        ("AKIA" + "ABCDEFGHIJ234567", "secret"),
        ("sk-" + "ant-0123456789abcdefghij", "secret"),
        ("ghp_" + "a1" * 18, "secret"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "secret"),
        ("eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NSJ9." + "abc", "secret"),
        ("Authorization: Bearer " + "abcdefghijklmnop1234", "secret"),
        ("password: hunter2x", "secret"),
        ("x" * 31 + "1", "secret"),
    ],
)
def test_each_filter_finds_its_own(text: str, filter_id: str) -> None:
    """What a filter is for is found, with its id."""
    assert filter_id in found(text)


def test_what_a_cited_quote_holds_is_no_secret() -> None:
    """A key that stands in the quoted sentence was there to be read; elsewhere in the source it was not cited."""
    key = "AKIA" + "ABCDEFGHIJ234567"
    assert found(f"The example key is {key}.", f"Use {key} as the example key.") == ()
    assert found(f"The example key is {key}.", source=f"Use {key}.") == ("secret",)


def test_the_id_of_a_link_is_no_secret() -> None:
    """A long word that looks random may stand in a link of the source, which the quote need not hold."""
    link = "https://video.example.com/" + "a1b2" * 8
    assert found(f"It is at {link}", source=f"Watch {link} first.") == ()
    assert found(f"It is {'a1b2' * 8}.") == ("secret",)


def test_what_a_cited_quote_says_is_no_leak() -> None:
    """A document may have the words of the prompt; then it is the document that is quoted."""
    assert found(SYSTEM) == ("prompt_leak",)
    assert found(SYSTEM, SYSTEM) == ()


def test_a_document_does_not_make_code_harmless() -> None:
    """An address that runs code does not leave, though a source holds it."""
    text = "[click](javascript:steal())"
    assert "active_link" in found(text, text)


def test_filters_are_told_in_one_order() -> None:
    """Several findings come in the order of the list, each once."""
    text = f"<img src=http://evil.example/x> {NONCE} \x00"
    assert found(text) == tuple(
        name for name in FILTERS if name in {"link_host", "html", "control", "prompt_leak", "secret"}
    )


@settings(max_examples=500, deadline=None)
@given(st.text(), st.lists(st.text(), max_size=2))
def test_any_text_can_be_filtered(text: str, quotes: list[str]) -> None:
    """No text raises, and the same text gives the same findings."""
    assert violations(text, quotes, quotes, LEAKS) == violations(text, quotes, quotes, LEAKS)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["", "see ", "x ", "(", "[a](", "![a](", "<", '"', "=", "\n", "\t", "*", "。"]),
    st.sampled_from(["http", "https", "HTTP", "ftp", "ws", "custom+x"]),
    st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,6}){1,2}", fullmatch=True),
    st.text(max_size=10),
)
def test_no_unknown_host_gets_through(before: str, scheme: str, host: str, after: str) -> None:
    """Wherever an address stands and whatever follows, a host that no source holds is found."""
    assert "link_host" in found(f"{before}{scheme}://{host}{after}")


@pytest.mark.parametrize(
    "hostile",
    ["<" * 50_000, "[" * 50_000, "http://" * 10_000, "a" * 50_000, "](" * 25_000, "&#" * 25_000, "data:" * 10_000,
     "token:" * 9_000, "eyJ" * 17_000, "<a " * 17_000, "1a" * 25_000, "www." * 12_000, "\u200b" * 50_000],
)  # fmt: skip
def test_time_is_linear_in_the_text(hostile: str) -> None:
    """Twice the text costs about twice the time, also where a pattern nearly matches everywhere."""
    import time

    def cost(text: str) -> float:
        least = 1e9
        for _ in range(3):
            began = time.process_time()
            found(text)
            least = min(least, time.process_time() - began)
        return least

    assert cost(hostile) < 8 * cost(hostile[: len(hostile) // 2]) + 0.05
