"""The built site works without a network, on a screen of a desktop and of a phone.

``SKDROPOUT_SITE=FOLDER python -m pytest -m slow tests/project/test_site.py`` tests the site in FOLDER. The tests in a
browser need Playwright (``pip install playwright``) and Chromium or Chrome.
"""

import inspect
import os
import re
import shutil
from html.parser import HTMLParser
from itertools import chain
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import skdropout

SITE = Path(os.environ.get("SKDROPOUT_SITE", "doc/_build/html")).resolve()
BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
NO_SITE = f"no built site in {SITE}, the folder that SKDROPOUT_SITE names"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (SITE / "index.html").exists(), reason=NO_SITE)]


class Page(HTMLParser):
    """The anchors, the links and the embedded files of an HTML file."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.embedded = {""}, set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.anchors |= {attrs.get("id"), attrs.get("name")}
        links = self.links if tag == "a" or attrs.get("rel") in {"index", "search", "next", "prev"} else self.embedded
        links |= {attrs[name] for name in ("href", "src", "data", "poster") if attrs.get(name)}
        links |= {source.split()[0] for source in attrs.get("srcset", "").split(",") if source.strip()}


PAGES = [path for path in sorted(SITE.rglob("*.html")) if SITE / "_static" not in path.parents]  # there: the theme's


def test_all_internal_links_resolve_and_no_file_is_loaded_from_the_network():
    site, errors = {path: Page(path) for path in PAGES}, []
    assert len(site) > 50
    for path, page in site.items():
        errors += [f"{path}: loads {url}" for url in page.embedded if urlsplit(url).netloc]
        for link in page.links | page.embedded:
            url, fragment = urldefrag(link)
            if urlsplit(url).scheme or urlsplit(url).netloc:
                continue
            target = (path.parent / unquote(urlsplit(url).path)).resolve() if url else path
            known = target.is_file() and (target not in site or unquote(fragment) in site[target].anchors)
            if not known:
                errors.append(f"{path}: {link}")
    assert not errors, "\n".join(errors)


@pytest.mark.parametrize("estimator", [skdropout.DropoutMLPClassifier, skdropout.DropoutMLPRegressor])
def test_the_page_of_an_estimator(estimator):
    html = (SITE / f"api/skdropout.{estimator.__name__}.html").read_text(encoding="utf-8")
    parameters = set(inspect.signature(estimator).parameters)
    for name in parameters:  # one per line
        assert re.search(rf'<dd><em class="sig-param">.*>{name}<.*</em>.*</dd>', html), name
    groups = re.split(r">(Dropout parameters|Parameters of MLP\w+|Additional parameters|Attributes)<", html)
    assert groups[1::2][1] == estimator.__name__.replace("DropoutMLP", "Parameters of MLP")
    listed = [re.findall(r"\w+", " ".join(re.findall("<dt><strong>(.+?)</strong>", group))) for group in groups[2:8:2]]
    assert listed[0][0] == "dropout"
    assert {name for name in parameters if "dropout" in name} < set(listed[0])
    assert sorted(chain(*listed)) == sorted(parameters)
    assert re.search('>Methods<.*<table class="autosummary', html, re.DOTALL)


# What is wrong with a page. An element may be wider than the window only inside a box that scrolls.
FAULTS = """() => {
    const width = document.documentElement.clientWidth, faults = [];
    if (document.documentElement.scrollWidth > width) faults.push("the page scrolls sideways");
    const scrolls = (box) => !box.matches(".bd-main *, .bd-header *, .bd-footer *") ? false
        : ["auto", "scroll"].includes(getComputedStyle(box).overflowX) || scrolls(box.parentElement);
    for (const element of document.querySelectorAll(".bd-article *, .bd-header *, .bd-footer *")) {
        const box = element.getBoundingClientRect();
        const right = Math.max(box.right, scrolls(element) ? 0 : box.left + element.scrollWidth);
        if (box.width > 1 && box.height > 1 && right > width + 1 && !scrolls(element.parentElement))
            faults.push(`${element.tagName} ends at ${right}: ${element.textContent.trim().slice(0, 60)}`);
    }
    for (const image of document.images) if (!image.naturalWidth) faults.push(`broken image: ${image.src}`);
    for (const formula of document.querySelectorAll("math"))
        if (!formula.getBoundingClientRect().width || formula.querySelector("merror"))
            faults.push(`formula not drawn: ${formula.textContent}`);
    const text = document.querySelector(".bd-article")?.innerText ?? "";
    if (/\\\\[(\\[]|\\$\\$|:math:/.test(text)) faults.push("a formula is left as LaTeX");
    return faults;
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    if BROWSER is None:
        pytest.skip("needs Chromium or Chrome")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=BROWSER)
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (400, "light")])
def test_every_page_in_a_browser(browser, width, theme):
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    messages, faults = [], []
    tab.on("console", lambda message: messages.append(message.text) if message.type in {"error", "warning"} else None)
    tab.on("pageerror", lambda error: messages.append(str(error)))
    tab.on("requestfailed", lambda request: messages.append(f"failed: {request.url}"))
    tab.on("request", lambda request: messages.append(request.url) if urlsplit(request.url).netloc else None)
    for path in PAGES:
        messages.clear()
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.dataset.theme") == theme
        faults += [f"{path}: {fault}" for fault in messages + tab.evaluate(FAULTS)]
    tab.close()
    assert not faults, "\n".join(faults)


def test_the_search_finds_a_class_without_a_network(browser):
    tab = browser.new_page()
    tab.goto((SITE / "search.html").as_uri() + "?q=DropoutMLPClassifier")
    tab.wait_for_selector("#search-results a[href*='skdropout.DropoutMLPClassifier.html']")
    tab.close()
