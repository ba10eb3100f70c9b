"""The web page in a browser, without JavaScript: sign in, ask, and see the cited characters in their source."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import uvicorn
import yaml

import orchestrator.services
from api.http import make_app
from api.keys import CURATOR, hash_key, load_keys
from orchestrator.services import open_services
from orchestrator.settings import Settings
from tests.doubles.encoder import HashEncoder
from tests.doubles.screener import MarkScreener

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

KEY = "gw_a-key-that-is-long-enough"
QUOTE = "The <b>canteen</b> & the café open at 11:30."
FILLER = "\n\n".join(f"Paragraph {number} is about something else entirely, at some length." for number in range(150))
RECORD = {
    "id": "menu/canteen & café",
    "title": "Hours <i>of</i> the canteen",
    "text": f"{FILLER}\n\n{QUOTE}\n\n{FILLER}",
    "allow": ["group:staff"],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback over a home with one long document and one API key."""
    home = tmp_path_factory.mktemp("page") / "home"
    home.mkdir()
    file = home / "api-keys.yaml"
    key = {"sha256": hash_key(KEY), "subject": "ann", "groups": ["staff"], "roles": [CURATOR], "clearance": "internal"}
    file.write_text(yaml.safe_dump([key]))
    with pytest.MonkeyPatch.context() as patch, closing(socket.create_server(("127.0.0.1", 0))) as listener:
        encoder = HashEncoder()
        patch.setattr(orchestrator.services, "_open_encoder", lambda _: encoder)
        patch.setattr(orchestrator.services, "_open_screener", MarkScreener)
        settings = Settings(home=home, workers=1)
        app = make_app(open_services(settings), settings, load_keys(file))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        fill(url)
        yield url
        server.should_exit = True
        thread.join()


def fill(url: str) -> None:
    """Waits in the listener's queue until the server has started, then puts the document in."""
    import json
    import urllib.request

    body = json.dumps({"documents": [RECORD]}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/v1/documents", body, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        assert json.load(response)["documents"] == 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as api:
        browser = api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, url: str) -> Iterator[Page]:
    """A small window without JavaScript, at the first page; fails for anything that the browser complains of."""
    context = browser.new_context(
        base_url=url, java_script_enabled=False, viewport={"width": 390, "height": 700}, color_scheme=request.param
    )
    page = context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "401" not in message.text:  # to be refused is no fault of a page
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/")
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page) -> None:
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Sign in").click()


def ask(page: Page) -> None:
    page.get_by_label("Your question").fill("The canteen & the café open at 11:30, do they?")
    page.get_by_role("button", name="Ask").click()


def open_first_source(page: Page) -> None:
    page.locator(".citations a").first.click()
    page.wait_for_selector("mark")


def assert_on_screen(thing: Locator) -> None:
    """All of it, once the page has scrolled to where its address points."""
    from playwright.sync_api import expect

    expect(thing).to_be_in_viewport(ratio=1.0)


def test_a_citation_opens_at_the_quoted_characters(page: Page) -> None:
    """Sign in, ask, follow the citation: the marked text is the quote and is on the screen, markup shown as text."""
    sign_in(page)
    assert page.get_by_text("You ask as").inner_text() == "You ask as ann"
    ask(page)
    quote = page.locator(".claim > p").first.inner_text()  # the extractive model says what it quotes
    assert quote == QUOTE
    page.get_by_role("link", name="Hours <i>of</i> the canteen").first.click()
    marked = page.locator("mark")
    assert marked.inner_text() == quote
    assert_on_screen(marked)
    assert page.get_by_role("heading").inner_text() == RECORD["title"]
    page.get_by_role("link", name="Show the whole text").click()
    page.wait_for_url("**whole=true**")
    assert page.locator("mark").inner_text() == quote
    assert_on_screen(page.locator("mark"))
    assert page.locator("pre").inner_text() == RECORD["text"]


def test_the_page_works_by_keyboard(page: Page) -> None:
    """Tab and Enter lead from the key to the source, and what has the focus can be seen."""
    page.get_by_label("API key").focus()
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    page.wait_for_selector("#question")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.locator("#question:focus").count():
            break
    page.keyboard.type("The canteen & the café open at 11:30, do they?")
    page.keyboard.press("Tab")
    focused = page.locator("button:focus")
    assert focused.inner_text() == "Ask"
    page.keyboard.press("Enter")
    page.wait_for_selector(".claim")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.locator(".citations a:focus").count():
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("mark")
    assert page.locator("mark").inner_text() == QUOTE


def test_nothing_is_wider_than_a_small_screen(page: Page) -> None:
    """On a telephone no page scrolls sideways, in the whole text of a source neither."""
    sign_in(page)
    ask(page)
    page.wait_for_selector(".claim")
    assert widest(page) <= 390
    open_first_source(page)
    assert widest(page) <= 390


def widest(page: Page) -> float:
    boxes = [element.bounding_box() for element in page.locator("body *").all()]
    return max(box["x"] + box["width"] for box in boxes if box)


def test_signing_out_ends_what_may_be_seen(page: Page) -> None:
    """After signing out the address of a source shows the sign-in page; a wrong key says so, in words."""
    sign_in(page)
    ask(page)
    open_first_source(page)
    source = page.url
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_selector("#key")
    page.goto(source)
    assert page.locator("mark").count() == 0
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_role("alert").inner_text() == "This key is not known here."
