"""`make screenshots`: plays the demo and takes README's pictures of it, in a real browser."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

from b24app.demo import running_application, sandbox_portal

HERE = Path(__file__).parent


def main() -> None:
    """Writes kanban.png, lead.png and tab.png."""
    with sandbox_portal() as portal, running_application(portal, "ru") as scene, sync_playwright() as playwright:
        scene.install()
        scene.play()
        lead = next(one["id"] for one in scene.state("leads") if "+79123456789" in str(one))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 860}, locale="ru-RU", reduced_motion="reduce")
        page.goto(f"{portal['url']}/crm/lead/")
        page.get_by_text("+79123456789").first.wait_for()
        page.screenshot(path=HERE / "kanban.png")
        page.goto(f"{portal['url']}/crm/lead/details/{lead}/")
        page.get_by_text("по очереди среди свободных").first.wait_for()
        page.screenshot(path=HERE / "lead.png")
        page.locator(".layer-body, .layer").get_by_role("button", name="Распределение").first.click()
        page.frame_locator("iframe").get_by_text("Борис Лебедев").first.wait_for()
        page.screenshot(path=HERE / "tab.png")
        browser.close()


if __name__ == "__main__":
    main()
