"""`make screenshots`: plays the demo and takes README's pictures of it, in a real browser."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import FrameLocator, Page, sync_playwright

from b24app.demo import Scene, running_application, sandbox_portal, sms_provider
from b24app.playbook import load_playbook

HERE = Path(__file__).parent
PHONE = "+79123456789"
MEASUREMENT = "B24_MEASUREMENT"
ANNA = 4
WEEK = ((1, 13, 9), (2, 9, 10), (2, 14, 10), (3, 9, 10), (4, 10, 10), (4, 14, 9), (5, 9, 9))
"""Working days from now, hour and measurer of the visits on the board."""


def main() -> None:
    """Writes kanban.png, lead.png, tab.png, form.png, guide.png, visit.png and board.png."""
    with (
        sandbox_portal() as portal,
        sms_provider() as provider,
        running_application(portal, "ru", provider) as scene,
        sync_playwright() as playwright,
    ):
        scene.install()
        scene.apply()
        scene.play()
        lead = next(one for one in scene.state("leads") if PHONE in str(one))
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 860}, locale="ru-RU", reduced_motion="reduce")
        page.goto(f"{portal['url']}/crm/lead/")
        page.get_by_text(PHONE).first.wait_for()
        page.screenshot(path=HERE / "kanban.png")
        page.goto(f"{portal['url']}/crm/lead/details/{lead['id']}/")
        page.get_by_text("по очереди среди свободных").first.wait_for()
        page.screenshot(path=HERE / "lead.png")
        opened(page, "Распределение").get_by_text("Борис Лебедев").first.wait_for()
        page.screenshot(path=HERE / "tab.png")
        opened(page, "Что делать").get_by_text("Дальше:").first.wait_for()
        page.screenshot(path=HERE / "guide.png")
        measured = next(one for one in scene.state("leads") if one["stageId"] == MEASUREMENT)
        page.goto(f"{portal['url']}/crm/lead/details/{measured['id']}/")
        week(scene)
        page.wait_for_timeout(10_000)  # the portal's limit of requests recovers from the scene and the pages above
        visit = opened(page, "Замер")
        visit.locator("#slots li").first.wait_for()
        page.screenshot(path=HERE / "visit.png")
        visit.get_by_role("button", name="График замеров").click()
        shown(page).locator("#calendar[aria-busy=false] .ec-event").first.wait_for()
        page.screenshot(path=HERE / "board.png")
        page.goto(f"{portal['url']}/crm/lead/")
        page.locator("select").first.select_option(label="Анна Кузнецова")
        page.get_by_text("Вы вошли как").first.wait_for()
        page.get_by_placeholder("Имя или телефон").fill(PHONE)  # alone on the board: no other card moves meanwhile
        page.wait_for_timeout(2000)  # the hidden page of this person begins to listen
        page.get_by_text(PHONE).first.drag_to(page.get_by_text("Клиент наш").first)
        shown(page).get_by_text("Что нужно для стадии").wait_for()
        page.screenshot(path=HERE / "form.png")
        browser.close()


def week(scene: Scene) -> None:
    """Fills the board: managers write dates into cards, and everything about them is done."""
    scene.control("PATCH", "settings", {"license": "ru_ent250"})
    hours, first = load_playbook().hours.calendar(), datetime.now(UTC)
    for number, (days, hour, measurer) in enumerate(WEEK, start=1):
        start = hours.add_working(first, days * hours.working_day).astimezone(hours.zone)
        number_of = {"typeId": "PHONE", "valueType": "WORK", "value": f"+7916000001{number}"}
        fields = {
            "title": f"Кухня, заказ {number}", "name": "Ольга", "fm": [number_of], "assignedById": ANNA,
            "UF_CRM_B24_ADDRESS": f"Москва, Мира, {number + 5}", "UF_CRM_B24_MEASURER": measurer,
            "UF_CRM_B24_MEASURE_AT": start.replace(hour=hour, minute=0, second=0, microsecond=0).isoformat(),
        }  # fmt: skip
        scene.control("POST", "items/1", {"fields": fields, "user_id": ANNA})
    entries = len(WEEK)  # one of them may want the time of the visit that the scene booked
    scene.until(("график не заполнен", "the board is not full"), lambda: len(scene.state("calendar")) >= entries, 90)


def opened(page: Page, tab: str) -> FrameLocator:
    """Opens a tab of the card; returns its page."""
    page.locator(".layer-body, .layer").get_by_role("button", name=tab, exact=True).first.click()
    return shown(page)


def shown(page: Page) -> FrameLocator:
    """Returns the page of ours that is on top."""
    return page.locator("iframe.frame:visible").last.content_frame


if __name__ == "__main__":
    main()
