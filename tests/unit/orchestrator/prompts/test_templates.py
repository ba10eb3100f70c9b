"""The language of templates: what it says, and that nothing else can be said in it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from ingest.errors import BadInput
from orchestrator.prompts.rendering import PromptLimits
from orchestrator.prompts.templates import Kind, fill, read_template

KINDS: dict[str, Kind] = {
    "name": "text",
    "count": "number",
    "formal": "flag",
    "items": "list",
    "more": "list",
    "evidence": "slot",
    "claims": "foreign",
}
VALUES = {
    "name": "Ann",
    "count": 2,
    "formal": True,
    "items": ("one", "two"),
    "more": (),
    "evidence": "{{ name }} {% for x in items %}",
    "claims": ("c",),
}
MOST = 10_000
LIMITS = PromptLimits()


def mistakes(source: str) -> list[tuple[int, str]]:
    return [(one.line, one.code) for one in read_template(source, KINDS, LIMITS).mistakes]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello {{ name }}, {{ count }}.", "Hello Ann, 2."),
        ("{% if formal %}Dear{% else %}Hi{% endif %} {{ name | upper }}", "Dear ANN"),
        ("{% if not formal and items %}a{% elif count > 1 %}b{% endif %}", "b"),
        ("{% for x in items %}{{ loop.index }}:{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}", "1:one, 2:two"),
        ("{% for x in more %}{{ x }}{% else %}none{% endfor %}", "none"),
        ("{{ items | join(', ') }} ({{ items | length }})", "one, two (2)"),
        ("{{ 'yes' if 'one' in items else 'no' }}", "yes"),
        ("{% if name == 'Ann' and 'n' in name %}x{% endif %}", "x"),
        ("{# a note #}{% raw %}{{ as it is }}{% endraw %}", "{{ as it is }}"),
        ("{% if evidence %}E: {{ evidence }}{% endif %}", "E: {{ name }} {% for x in items %}"),
    ],
)
def test_what_a_template_can_say(source: str, text: str) -> None:
    """Values, conditions, lists and five filters are enough for prompts, and mean what Jinja means by them."""
    assert mistakes(source) == []
    assert fill(source, VALUES, MOST) == text


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'prompt.yaml' %}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as x %}",
        "{% from 'x' import y %}",
        "{% extends 'http://127.0.0.1/x' %}",
        "{% block b %}{% endblock %}",
        "{% macro m() %}{% endmacro %}",
        "{% call m() %}{% endcall %}",
        "{% set x = 1 %}",
        "{% set x %}a{% endset %}",
        "{% with x = 1 %}{% endwith %}",
        "{% filter upper %}a{% endfilter %}",
        "{% for x in items recursive %}{% endfor %}",
        "{% for x in items if x %}{% endfor %}",
        "{% for x, y in items %}{% endfor %}",
        "{% for items in items %}{% endfor %}",
        "{% for loop in items %}{% endfor %}",
        "{% for _x in items %}{% endfor %}",
        "{% for a in items %}{% for b in items %}{% for c in items %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in items %}{% for b in items %}" + "{{ a }}" * 13 + "{% endfor %}{% endfor %}",
        "{% for a in items %}{% for b in items %}{% if formal %}{% endif %}{% endfor %}{% endfor %}" * 7,
        "{% for a in items %}{{ a|upper }}{% endfor %}",
        "{% for x in range(1000000000) %}{% endfor %}",
        "{% for x in items %}{{ loop.cycle('a') }}{% endfor %}",
        "{% for x in items %}{{ loop }}{% endfor %}",
        "{% for x in items %}{{ loop.__class__ }}{% endfor %}",
        "{% for x in items %}{{ loop._iterator }}{% endfor %}",
        "{{ name.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name|attr('__class__') }}",
        "{{ items|map(attribute='__class__')|join }}",
        "{{ items|join(attribute='__class__') }}",
        "{{ items|join(', ', '__class__') }}",
        "{{ items|join(name) }}",
        "{{ items|join(*items) }}",
        "{{ name.format(name) }}",
        "{{ name|format(name) }}",
        "{{ '%s' % name }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ name ~ name }}",
        "{{ 1 + 1 }}",
        "{{ -count }}",
        "{{ [1, 2] }}",
        "{{ {'a': 1} }}",
        "{{ (1, 2) }}",
        "{{ items[0] }}",
        "{{ items[0:9] }}",
        "{{ name is defined }}",
        "{{ name|pprint }}",
        "{{ name|safe }}",
        "{{ name|urlize }}",
        "{{ name|xmlattr }}",
        "{{ None }}",
        "{{ count if formal }}",
        "{{ 1 < count < 3 }}",
        "{{ claims }}",
        "{{ claims|join }}",
        "{% if claims %}{% endif %}",
        "{% for x in claims %}{{ x }}{% endfor %}",
        "{% for x in items %}{{ evidence }}{% endfor %}",
        "{{ " + "(" * 40 + "not " * 40 + "name" + ")" * 40 + " }}",
        "{% if name %}" * 40 + "{% endif %}" * 40,
    ],
)
def test_what_a_template_cannot_say(source: str) -> None:
    """No way leads to a file, a host, an object's insides, a call, or a computation without end: all are refused."""
    assert "template_forbidden" in {code for _, code in mistakes("\n" + source)}
    assert {line for line, _ in mistakes("\n" + source)} == {2}


@pytest.mark.parametrize(
    ("source", "line", "code"),
    [
        ("\n\n{{ name", 3, "template_syntax"),
        ("{% do items.append(1) %}", 1, "template_syntax"),
        ("{% debug %}", 1, "template_syntax"),
        ("{% autoescape true %}{% endautoescape %}", 1, "template_forbidden"),
        ("{{ name|unheard_of }}", 1, "template_forbidden"),
        ("{{ " + "9" * 5000 + " }}", 1, "template_syntax"),
        ("{{ " + "(" * 5000, 1, "template_syntax"),
        ("a\n{{ nmae }}", 2, "undeclared_variable"),
        ("{{ range(3) }}", 1, "template_forbidden"),
        ("{{ self }}", 1, "undeclared_variable"),
        ("{{ request }}", 1, "undeclared_variable"),
        ("{% for x in items %}{% endfor %}{{ x }}", 1, "undeclared_variable"),
        ("{% for x in name %}{% endfor %}", 1, "wrong_type"),
        ("{% for x in evidence %}{% endfor %}", 1, "wrong_type"),
        ("{{ items }}", 1, "wrong_type"),
        ("{{ formal }}", 1, "wrong_type"),
        ("{{ count|upper }}", 1, "wrong_type"),
        ("{{ evidence|upper }}", 1, "wrong_type"),
        ("{{ evidence|trim }}", 1, "wrong_type"),
        ("{{ name if formal else evidence }}", 1, "wrong_type"),
        ("{% if 'password' in evidence %}{% endif %}", 1, "wrong_type"),
        ("{% if evidence == 'x' %}{% endif %}", 1, "wrong_type"),
        ("{% if name < 3 %}{% endif %}", 1, "wrong_type"),
        ("{% if name < name %}{% endif %}", 1, "wrong_type"),
        ("{% if count in items %}{% endif %}", 1, "wrong_type"),
    ],
)
def test_mistakes_have_a_place(source: str, line: int, code: str) -> None:
    """What is mistyped, undeclared or of the wrong type is told with its line, before anything is filled in."""
    assert (line, code) in mistakes(source)


PIECES = st.sampled_from(
    [
        "{{ ", " }}", "{% ", " %}", "{# ", " #}", "if ", "else", "elif ", "endif", "for ", "endfor", "in ", "not ",
        "and ", "set ", "include ", "macro ", "name", "count", "items", "formal", "evidence", "claims", "x",
        "loop", ".index",
        ".__class__", "[0]", "()", "|", "join", "upper", "length", "attr", "('a')", "'a'", "1", "==", "<", "~", "*",
        "**", " ", "\n", "raw", "endraw", "(", ")", "\\", "é", "\x00",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=25).map("".join) | st.text(max_size=60))
@example("{% for x in items %}{{ x }}{% endfor %}")
@example("{{ 'a\\N{x}' }}")
def test_a_template_that_passes_can_be_filled_in(source: str) -> None:
    """Whatever text is given as a template: it is refused with a reason, or it can be filled in, and nothing raises."""
    reading = read_template(source, KINDS, LIMITS)
    if not reading.mistakes:
        text = fill(source, VALUES, MOST)
        assert len(text) <= MOST
        assert "built-in" not in text
        assert " object at 0x" not in text


def test_a_turn_has_an_end() -> None:
    """What grows beyond the limit is given up while it is written, not after."""
    source = "{% for a in items %}{% for b in items %}{{ a }}{% endfor %}{% endfor %}"
    with pytest.raises(BadInput, match="more than 1000 characters") as refusal:
        fill(source, {"items": ["x" * 100] * 10}, 1000)
    assert refusal.value.code == "prompt_too_long"


@pytest.mark.parametrize(
    "source",
    [
        "{% include 'prompt.yaml' %}",
        "{% import 'x' as x %}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name.upper() }}",
        "{% for x in items %}{{ loop.cycle('a') }}{% endfor %}",
        "{% for x in range(3) %}{% endfor %}",
        "{{ name|attr('__class__') }}",
        "{{ cycler }}",
        "{{ missing }}",
    ],
)
def test_the_sandbox_is_a_second_lock(source: str) -> None:
    """What passes no check would fail in the engine as well: it has no loader, no globals, no calls, no attributes."""
    with pytest.raises((TemplateError, TypeError)):
        fill(source, VALUES, MOST)
