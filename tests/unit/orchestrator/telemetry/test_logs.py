"""What a log line holds, and what no line ever holds."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.telemetry.logs import log_facts

ROOT = Path(__file__).parents[4]
QUESTION, ANSWER, KEY = "How much does Ada Lovelace earn?", "Ada earns 91,500 euros.", "sk-ant-0123456789"

SCRIPT = """
import asyncio, logging, socket, sys, threading, urllib.request, warnings
sys.path.insert(0, {root!r})
from ingest.errors import DependencyDown
from orchestrator.telemetry.logs import configure_logs
from orchestrator.telemetry.tracing import Tracing
configure_logs({log_format!r}, "debug")
question, answer, key = {question!r}, {answer!r}, {key!r}
{body}
"""


def lines(body: str, log_format: str = "json") -> tuple[list[Any], str]:
    script = SCRIPT.format(
        root=str(ROOT), log_format=log_format, question=QUESTION, answer=ANSWER, key=KEY, body=textwrap.dedent(body)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    for said in ("Lovelace", "91,500", "Ada", KEY, "0123456789"):
        assert said not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()] if log_format == "json" else [], done.stderr


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_question_answer_or_key_reaches_the_log(log_format: str) -> None:
    """Not by a library's message, its arguments, an exception, a warning, a thread, a task, or a broken line."""
    body = """
        log, library = logging.getLogger("orchestrator.asking"), logging.getLogger("some_sdk.client")
        library.debug("Request options: %s", {"prompt": question, "authorization": key})
        library.error(f"failed for {question}")
        log.warning(question)
        log.warning("answered", extra={"route": answer, "code": key, "outcome": question})
        log.warning("%d words", answer)
        try:
            try:
                raise ValueError(f"the provider says: {answer} {key}")
            except ValueError as error:
                raise DependencyDown(question, "model_down", answer, key) from error
        except DependencyDown:
            log.exception("ask_failed")
            library.exception("boom %s", question)
        warnings.warn(question)
        def fail():
            raise RuntimeError(question)
        thread = threading.Thread(target=fail); thread.start(); thread.join()
        async def leave():
            asyncio.get_running_loop().call_exception_handler({"message": question, "exception": KeyError(answer)})
        asyncio.run(leave())
        class Closing:
            def __del__(self):
                raise OSError(key)
        Closing()
        raise LookupError(answer)
    """
    found, text = lines(body, log_format)
    for word in ("model_down", "ask_failed", "RuntimeError", "LookupError", "ingest.errors.DependencyDown"):
        assert word in text
    if found:
        failed = next(line for line in found if line.get("event") == "ask_failed")
        assert failed["error_code"] == "model_down"
        assert failed["errors"] == ["ingest.errors.DependencyDown", "builtins.ValueError"]
        assert failed["trace"] == [failed["trace"][0]]
        assert found[-1]["errors"] == ["builtins.LookupError"]


def test_a_line_tells_run_tier_event_and_fields() -> None:
    """Run and tier come from the task that logs, also across awaits; fields are those of the list."""
    body = """
        log = logging.getLogger("orchestrator.asking")
        async def ask(run):
            with Tracing().run(run, "ask"), Tracing().tier("model"):
                await asyncio.sleep(0)
                log.info("asked", extra={"route": "claude-fast", "status": 529, "seconds": 0.5, "subject": "ada"})
        async def both():
            await asyncio.gather(ask("run-1"), ask("run-2"))
        asyncio.run(both())
        log.info("idle")
    """
    found, _ = lines(body)
    asked = [line for line in found if line.get("event") == "asked"]
    assert [(line["run_id"], line["tier"], line["route"], line["status"]) for line in asked] == [
        ("run-1", "model", "claude-fast", 529),
        ("run-2", "model", "claude-fast", 529),
    ]
    assert "subject" not in asked[0]
    assert "run_id" not in next(line for line in found if line.get("event") == "idle")


def test_a_server_that_fails_over_a_socket_logs_no_content() -> None:
    """uvicorn's own traceback of a failed request holds places and types alone."""
    body = """
        import uvicorn
        from fastapi import FastAPI
        app = FastAPI()
        @app.get("/")
        async def handler():
            raise ValueError(question + answer + key)
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}); thread.start()
        try:
            urllib.request.urlopen("http://127.0.0.1:%d/?q=Ada" % listener.getsockname()[1], timeout=10)
        except OSError:
            pass
        server.should_exit = True
        thread.join(10)
    """
    found, _ = lines(body)
    failed = [line for line in found if line["logger"] == "uvicorn.error" and "errors" in line]
    assert [line["errors"] for line in failed] == [["builtins.ValueError"]]
    assert failed[0]["trace"][-1].endswith("handler")


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Z"]), min_size=1))
def test_a_message_of_several_words_is_never_written(text: str) -> None:
    """Our own loggers may write one event word; anything else is left out, whatever its letters."""
    record = logging.LogRecord("orchestrator.asking", logging.INFO, "asking.py", 1, f"{text} {text}", (), None)
    record.route = f"{text} x"
    assert set(log_facts(record)) == {"at", "level", "logger", "place"}
