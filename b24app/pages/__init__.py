"""What people see inside Bitrix24: one module per page, its template and static files beside it.

A page in a new place: its module here, its line in PLACEMENTS, its branch in web/frames.py.
"""

from b24app.engine.declare import Placement

TAB_TITLE = {"ru": "Распределение", "en": "Distribution"}
GUIDE_TITLE = {"ru": "Что делать", "en": "What to do"}
VISIT_TITLE = {"ru": "Замер", "en": "Measurement"}
BOARD_TITLE = {"ru": "График замеров", "en": "Measurements"}
FORM_TITLE = {"ru": "Заполнить и перейти", "en": "Fill in and move on"}
WORKER_TITLE = {"ru": "Формы открываются сами", "en": "Forms open by themselves"}

PLACEMENTS = (
    Placement("CRM_LEAD_DETAIL_TAB", "guide", GUIDE_TITLE),
    Placement("CRM_LEAD_DETAIL_TAB", "lead", TAB_TITLE),
    Placement("CRM_DEAL_DETAIL_TAB", "guide", GUIDE_TITLE),
    Placement("CRM_DEAL_DETAIL_TAB", "lead", TAB_TITLE),
    Placement("CRM_LEAD_DETAIL_TAB", "visit", VISIT_TITLE),
    Placement("CRM_DEAL_DETAIL_TAB", "visit", VISIT_TITLE),
    Placement("LEFT_MENU", "board", BOARD_TITLE),
    Placement("CALENDAR_GRIDVIEW", "board", BOARD_TITLE),
    Placement("REST_APP_URI", "form", FORM_TITLE),
    Placement(
        "PAGE_BACKGROUND_WORKER",
        "worker",
        WORKER_TITLE,
        {"errorHandlerUrl": "{public_url}/placement/worker"},
    ),
)
