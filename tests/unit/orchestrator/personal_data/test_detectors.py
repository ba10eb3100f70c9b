"""Each detector finds its type as people write it, and leaves alone what merely looks like it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.personal_data.account_numbers import CardDetector, IbanDetector, SsnDetector, luhn
from orchestrator.personal_data.addresses import AddressDetector
from orchestrator.personal_data.chain import DetectionConfig, standard_chain
from orchestrator.personal_data.dates import DateDetector
from orchestrator.personal_data.detection import Detector, fold
from orchestrator.personal_data.internet import EmailDetector, IpDetector, UrlDetector
from orchestrator.personal_data.phones import PhoneDetector
from orchestrator.personal_data.word_lists import WordListDetector

DETECTORS: list[Detector] = [
    EmailDetector(),
    UrlDetector(),
    IpDetector(),
    CardDetector(),
    IbanDetector(),
    SsnDetector(),
    PhoneDetector(),
    DateDetector(),
    AddressDetector(),
    WordListDetector({"Project Heron": "CODENAME"}),
]


def found(detector: Detector, text: str) -> list[str]:
    folded = fold(text)
    spans = [folded.source_span(entity.start, entity.end) for entity in detector.detect(folded.text)]
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to jo.smith+news@mail.example.co.uk.", ["jo.smith+news@mail.example.co.uk"]),
        ("<a_b@example.com>, 'x-y@ex-ample.org'", ["a_b@example.com", "x-y@ex-ample.org"]),
        ("http://host/?mail=ann@example.com&x", ["ann@example.com"]),
        ("jörg@müller.de und δοκιμή@παράδειγμα.gr", ["jörg@müller.de", "δοκιμή@παράδειγμα.gr"]),
        ("連絡先ann@example.jpです", ["ann@example.jp"]),
        ("ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", ["ａｎｎ＠ｅｘａｍｐｌｅ．ｃｏｍ"]),
        ("an\u200bn@exam\u00adple.com!", ["an\u200bn@exam\u00adple.com"]),
        ("ann (at) example (dot) com", ["ann (at) example (dot) com"]),
        ("ann[at]example.com", ["ann[at]example.com"]),
        ("ann dot lee at example dot com", ["ann dot lee at example dot com"]),
        ("We met at noon. Look at example.com, logo@2x.png, user@localhost, @ann, a@b@", []),
    ],
)
def test_emails(text: str, expected: list[str]) -> None:
    """Addresses in any script and width, split by invisible characters or disguised; not handles, files or hosts."""
    assert found(EmailDetector(), text) == expected


def test_disguised_emails_by_setting() -> None:
    """The setting turns disguised addresses off, and plain ones stay."""
    assert found(EmailDetector(disguised=False), "ann (at) example (dot) com, bo@example.com") == ["bo@example.com"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from 8.8.4.4:53 and [2606:4700:4700::1111]", ["8.8.4.4", "2606:4700:4700::1111"]),
        ("ping 2001:4860:4860:0:0:0:0:8888.", ["2001:4860:4860:0:0:0:0:8888"]),
        ("127.0.0.1 0.0.0.0 255.255.255.0 192.0.2.7 ::1 :: 2001:db8::1", []),
        ("10.1.2.3/8 and fe80::1", ["10.1.2.3", "fe80::1"]),
        ("v1.2.3.4, version 5.6.7.8, 1.2.3.4.5, 999.1.1.1, 12:30:45, std::abc::fed, a::b", []),
    ],
)
def test_ip_addresses(text: str, expected: list[str]) -> None:
    """Addresses of both versions; those of nobody, masks, versions of programs and times are none."""
    assert found(IpDetector(), text) == expected


def test_private_ip_addresses_and_versions_by_setting() -> None:
    """Addresses within a network can be left out, and what follows "version" can be let in."""
    assert found(IpDetector(private=False), "10.1.2.3, fe80::1 and 8.8.4.4") == ["8.8.4.4"]
    assert found(IpDetector(versions=True), "version 8.8.4.4") == ["8.8.4.4"]


def test_urls_end_before_punctuation() -> None:
    """A web address ends before the sentence's punctuation."""
    assert found(UrlDetector(), "See https://example.com/a?b=c, (www.example.org).") == [
        "https://example.com/a?b=c",
        "www.example.org",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111111111111111", ["4111111111111111"]),
        ("No. 12 4111 1111 1111 1111 12/27", ["4111 1111 1111 1111"]),
        ("3782-822463-10005 and 3056 930902 5904", ["3782-822463-10005", "3056 930902 5904"]),
        ("4111\u00a01111\u20111111 1111", []),  # two kinds of separator and no word for it
        ("my card: 4111\u00a01111\u20111111 1111", ["4111\u00a01111\u20111111 1111"]),
        ("カード４１１１１１１１１１１１１１１１です", ["４１１１１１１１１１１１１１１１"]),
        ("card 411111111111 1111", ["411111111111 1111"]),
        ("4111111111111112 1234567890123452 0000000000000000 id4111111111111111 41111111111111110", []),
        ("4222222222222", []),  # 13 digits need a word for it
        ("Visa 4222222222222", ["4222222222222"]),
    ],
)
def test_cards(text: str, expected: list[str]) -> None:
    """Card numbers by check digit, issuer, length and groups; unusual ones need a word beside them."""
    assert found(CardDetector(), text) == expected


@given(st.from_regex(r"[0-9]{11,18}", fullmatch=True), st.integers(0, 9))
def test_luhn_sees_every_slip_of_one_digit(digits: str, other: int) -> None:
    """Exactly one check digit is right, so that any other number of this length fails."""
    right = [last for last in "0123456789" if luhn(digits + last)]
    assert len(right) == 1
    assert (str(other) == right[0]) == luhn(digits + str(other))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DE89370400440532013000", ["DE89370400440532013000"]),
        ("IBAN gb82 west 1234 5698 7654 32, please", ["gb82 west 1234 5698 7654 32"]),
        ("FR14-2004-1010-0505-0001-3M02-606", ["FR14-2004-1010-0505-0001-3M02-606"]),
        ("DE88370400440532013000 DE893704004405320130000 XDE89370400440532013000 ZZ89370400440532013000 GB82", []),
    ],
)
def test_ibans(text: str, expected: list[str]) -> None:
    """IBANs with right check digits, layout and length of their country, in any grouping and case."""
    assert found(IbanDetector(), text) == expected


@pytest.mark.parametrize(
    "example",
    [
        *(
            "NO9386011117947",
            "GT82TRAJ01020000001210029690",
            "MT84MALT011000012345MTLCAST001S",
            "CH9300762011623852957",
        ),
        *("BR1800360305000010009795493C1", "SC18SSCB11010000000000001497USD", "NL91ABNA0417164300"),
        *(
            "PL61109010140000071219812874",
            "SA0380000000608010167519",
            "AE070331234567890123456",
            "KZ86125KZT5004100100",
        ),
        *("FR1420041010050500013M02606", "IT60X0542811101000000123456", "TR330006100519786457841326"),
    ],
)
def test_ibans_of_the_registry(example: str) -> None:
    """The registry's own examples count; with two digits changed or exchanged they do not."""
    assert found(IbanDetector(), f"to {example}, now") == [example]
    changed = example[:-3].replace(example[4:6], example[5] + example[4], 1) + example[-3:]
    assert found(IbanDetector(), changed) == ([example] if changed == example else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("536-22-1234", ["536-22-1234"]),
        ("SSN: 536221234, social security number 536 22 1234", ["536221234", "536 22 1234"]),
        ("000-12-3456 666-12-3456 912-12-3456 536-00-1234 536-22-0000 078-05-1120 1536-22-1234", []),
        ("order 536221234, 536 22 1234 and 536-22-1234-9", []),
    ],
)
def test_social_security_numbers(text: str, expected: list[str]) -> None:
    """Numbers that can have been given, with hyphens or with a word for them; never those that were not given."""
    assert found(SsnDetector(), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "+49 30 901820, +1 (415) 555-2671 or 0044 20 7946 0958",
            ["+49 30 901820", "+1 (415) 555-2671", "0044 20 7946 0958"],
        ),
        ("(415) 555-2671 and 415.555.2671 x12", ["(415) 555-2671", "415.555.2671 x12"]),
        ("030/901820, 06 12 34 56 78", ["030/901820", "06 12 34 56 78"]),
        ("Suite 500 415-555-2671, on 2024-01-05 030 901820", ["415-555-2671", "030 901820"]),
        ("call 555 2671", ["555 2671"]),
        ("Tel.: ０３０‑９０１８２０", ["０３０‑９０１８２０"]),
        ("55 52 67 11 mobile", ["55 52 67 11"]),
        ("call 1914-1918, 2024-01-05, $1 555 2671, 3.14159265, 10 000 000", []),
        ("In 1998 2 500 000 people; ISBN 978-3-16-148410-0; order 5552671", []),
    ],
)
def test_phones(text: str, expected: list[str]) -> None:
    """International and national numbers, local ones beside a word for them; not years, amounts or other numbers."""
    assert found(PhoneDetector(), text) == expected


def test_phones_of_other_regions_do_not_count() -> None:
    """National numbers count for the regions of the settings only, and a region that is none is refused by name."""
    assert found(PhoneDetector(regions=("US",)), "06 12 34 56 78") == []
    with pytest.raises(BadInput, match="XX"):
        found(PhoneDetector(regions=("XX",)), "06 12 34 56 78")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-05, 2024-01-05T10:11:12Z, 5.1.2024", ["2024-01-05", "2024-01-05T10:11:12Z", "5.1.2024"]),
        ("1/27/1952 or 27/1/52", ["1/27/1952", "27/1/52"]),
        ("May 5th, 1990; 5 May 1990; 3. März 2020", ["May 5th, 1990", "5 May 1990", "3. März 2020"]),
        ("5 de mayo de 1990, le 1er avril 2001", ["5 de mayo de 1990", "1er avril 2001"]),
        ("1990年5月3日生まれ in October 1973", ["1990年5月3日", "October 1973"]),
        ("in 1973, 2024-13-05, 1.2.3, 99/99/2000, v2024-01-05, may 1 be", ["may 1"]),
    ],
)
def test_dates(text: str, expected: list[str]) -> None:
    """Dates in numbers and in words of several languages; not years alone, impossible days or versions."""
    assert found(DateDetector(), text) == expected


def test_dates_of_birth_have_their_own_type() -> None:
    """A date after a word for birth is one of birth; another date of the same text is not."""
    kinds = [entity.type for entity in DateDetector().detect("born 5 May 1990.\n\nHired on 2 June 2015, a Monday")]
    assert kinds == ["DATE_OF_BIRTH", "DATE_TIME", "DATE_TIME"]


@pytest.mark.parametrize(
    "address",
    [
        "221B Baker Street, London NW1 6XE",
        "1600 Pennsylvania Avenue NW, Washington, DC 20500",
        "Unter den Linden 77, 10117",
        "Hauptstraße 5, 10827",
        "12 rue de la Paix, 75002",
        "Calle Mayor 3, 28013",
        "Via Garibaldi 12",
        "P.O. Box 1234",
        "PSC 1234, Box 5678\nAPO AE 09421",
        "Storgata 5",
        "7 Elm Road\nApt. 12\nSpringfield\nIL 62704",
    ],
)
def test_addresses(address: str) -> None:
    """Addresses of several countries are found from the first character, down to the postcode."""
    assert found(AddressDetector(), f"Ann lives at {address}.") == [address]


@pytest.mark.parametrize(
    "text",
    [
        "In May 2020 the Court met 12 times.",
        "Chapter 3 and Table 12 show that 40 people walked down the road.",
        "Version 5 of the suite has 3 bugs on page 17.",
        "the corner of your screen and the menu",
    ],
)
def test_what_is_no_address(text: str) -> None:
    """Numbers beside ordinary words are no addresses."""
    assert found(AddressDetector(), text) == []


def test_own_words_in_any_case_and_spacing() -> None:
    """Phrases of a tenant's list are found as whole words, the longer first, whatever the case and white space."""
    detector = WordListDetector({"Project Heron": "CODENAME", "heron": "BIRD", "サギ計画": "CODENAME"})
    assert found(detector, "PROJECT\u00a0 heron, Heron, herons; サギ計画は") == [
        "PROJECT\u00a0 heron",
        "Heron",
        "サギ計画",
    ]
    assert [entity.type for entity in detector.detect("heron project heron")] == ["BIRD", "CODENAME"]
    with pytest.raises(BadInput, match="empty"):
        WordListDetector({" ": "CODENAME"})


# What the patterns turn on, so that near misses are frequent.
NEAR = st.text("0123456789 .-/()+:@,abBxX[]#\n\u200b\u00a0\ud800\u202e年é", max_size=80)
PIECES = st.lists(
    st.sampled_from(
        [
            "4111 1111",
            "1111",
            "DE89",
            "536-22-",
            "+49 ",
            "(0)",
            "@",
            "ex.com",
            "12 ",
            "Main ",
            "Street",
            "Apt. ",
            "\n",
            "::1",
            "2024-",
            "May ",
        ]
    ),
    max_size=12,
).map("".join)


@settings(max_examples=1_000)
@given(st.sampled_from(DETECTORS), st.one_of(st.text(max_size=60), NEAR, PIECES))
def test_no_text_breaks_a_detector(detector: Detector, text: str) -> None:
    """Whatever the text, spans lie in it, are not empty and have one of the detector's types."""
    folded = fold(text)
    for entity in detector.detect(folded.text):
        assert 0 <= entity.start < entity.end <= len(folded.text)
        assert entity.type in detector.types


@settings(max_examples=1_000)
@given(st.one_of(st.text(max_size=60), NEAR))
def test_folding_keeps_the_way_back(text: str) -> None:
    """Every folded character stands for one place of the source, in order."""
    folded = fold(text)
    places = [folded.source_span(at, at + 1) for at in range(len(folded.text))]
    assert all(0 <= start < end <= len(text) and end == start + 1 for start, end in places)
    assert places == sorted(places)
    for (start, _), at in zip(places, folded.text, strict=True):
        assert at == text[start] or not text[start].isascii() or not text[start].isprintable()


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1 ",
        "1-",
        "1.1.1.1.",
        "4111 ",
        "a@a.",
        ":",
        "a:1:",
        "(1",
        "12 Main Street, ",
        "Foo 12 ",
        "GB12 ",
        "\u202e1",
        "\ud800",
        "漢字1",
        " at a dot b",
    ],
)
def test_time_is_linear(unit: str) -> None:
    """Four times the text makes about four times the calls; what one call costs is bounded by the patterns' repeats."""
    chain = standard_chain(DetectionConfig(own_words={"Project Heron": "CODENAME"}))
    small, large = (steps(chain.detect, unit * (length // len(unit))) for length in (2_000, 8_000))
    assert large < 6 * small + 20_000


def steps(work: object, text: str) -> int:
    """Calls made while looking at a text."""
    count = 0

    def counted(_frame: object, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work(text)  # type: ignore[operator]
    finally:
        sys.setprofile(None)
    return count
