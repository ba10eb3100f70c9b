"""The scripted provider keeps to its script, as a real one would keep to the port."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.gateway.port import ModelInfo, ModelReply, ModelRequest, ProviderFailure, TokenUsage, Turn
from orchestrator.gateway.providers.scripted import ScriptedProvider


def request(text: str = "What holds?") -> ModelRequest:
    turns = (Turn(role="user", text=text),)
    return ModelRequest(model="script", system="Answer.", turns=turns, schema=None, max_output_tokens=10)


def ask(provider: ScriptedProvider, text: str = "What holds?", timeout_s: float = 5.0) -> ModelReply:
    return asyncio.run(provider.complete(request(text), timeout_s=timeout_s))


def test_steps_come_in_order_and_what_was_asked_is_kept() -> None:
    """Texts, replies and functions of the request, one for each request; then what holds otherwise."""
    reply = ModelReply(text="no", stop="refused", usage=TokenUsage(), model="script")
    provider = ScriptedProvider(otherwise="the rest")
    provider.enqueue("first", reply, lambda asked: asked.turns[0].text.upper())
    assert [ask(provider).text, ask(provider).stop, ask(provider, "third").text, ask(provider).text] == [
        "first",
        "refused",
        "THIRD",
        "the rest",
    ]
    assert [asked.turns[0].text for asked in provider.history][2] == "third"


def test_a_failure_is_raised() -> None:
    """Whether given or made."""
    provider = ScriptedProvider()
    provider.enqueue(ProviderFailure("overloaded"), lambda _: ProviderFailure("garbled"))
    for kind in ("overloaded", "garbled"):
        with pytest.raises(ProviderFailure) as caught:
            ask(provider)
        assert caught.value.kind == kind


def test_a_slow_step_times_out_and_can_be_cancelled() -> None:
    """A step that awaits an event is a slow model: its time runs out as a real one's does."""
    provider = ScriptedProvider()

    async def never(_: ModelRequest) -> str:
        await asyncio.Event().wait()
        return "never"

    provider.enqueue(never)
    with pytest.raises(ProviderFailure, match="timeout"):
        ask(provider, timeout_s=0.01)


def test_an_empty_script_is_the_tests_mistake() -> None:
    """It is no failure of a provider, which a gateway would retry."""
    with pytest.raises(LookupError, match="no step left"):
        ask(ScriptedProvider())


def test_tokens_follow_from_the_text_and_models_are_as_given() -> None:
    """So that budgets in tests are figures one can check by hand."""
    info = ModelInfo(model="script")
    provider = ScriptedProvider(models=[info])
    provider.enqueue("x" * 9)
    usage = ask(provider, "q" * 8).usage
    assert usage == TokenUsage(input=4, output=3)  # "Answer." and a line end and 8 letters; 9 letters
    assert asyncio.run(provider.count_tokens(request("q" * 8), timeout_s=1)) == usage.input
    assert asyncio.run(provider.models(timeout_s=1)) == [info]
    asyncio.run(provider.close())
    assert provider.closed
