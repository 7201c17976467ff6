"""What people see inside Bitrix24: one module per page, its template and static files beside it.

A page in a new place: its module here, its line in PLACEMENTS, its branch in web/frames.py.
"""

from b24app.engine.declare import Placement

TAB_TITLE = {"ru": "Распределение", "en": "Distribution"}

PLACEMENTS = (
    Placement("CRM_LEAD_DETAIL_TAB", "lead", TAB_TITLE),
    Placement("CRM_DEAL_DETAIL_TAB", "lead", TAB_TITLE),
)
