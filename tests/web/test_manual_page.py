"""The managers' instruction in a browser: readable by everybody, nothing cut off, nothing fetched."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from b24app.manual import manual_html
from b24app.playbook import load_playbook


@pytest.mark.parametrize("path", ["", "playbooks/kitchen_recommended.toml"])
@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("width", [380, 1000])
def test_the_instruction_is_readable_by_everybody(browser: Browser, path: str, language: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    try:
        page = context.new_page()
        fetched: list[str] = []
        page.on("request", lambda request: fetched.append(request.url))
        page.set_content(manual_html(load_playbook(path), path, language), wait_until="load")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert [url for url in fetched if not url.startswith("data:")] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.evaluate(
            "() => [...document.querySelectorAll('svg.flow')].flatMap(svg => [...svg.querySelectorAll('text')]"
            ".filter(text => text.getBBox().x + text.getBBox().width > svg.viewBox.baseVal.width)"
            ".map(text => text.textContent))"
        )
        assert cut == []
    finally:
        context.close()
