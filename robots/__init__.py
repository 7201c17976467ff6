"""The robots that consultants place on stages, one file each.

To add one: write its file (the docstring is its manual page; read, decide, act, answer, then ROBOT), name it here, give
it a test in tests/robots/ and a line in the changelog. No route, no setting, no migration.
"""

from robots import (
    add_working_time,
    advance_stage,
    assign_manager,
    book_measurement,
    check_fields,
    check_offer_sent,
    checklist_task,
    confirm_measurement,
    find_measurement_slots,
    send_sms,
    stage_hint,
    working_time_between,
)

ROBOTS = (
    assign_manager.ROBOT,
    checklist_task.ROBOT,
    check_fields.ROBOT,
    check_offer_sent.ROBOT,
    advance_stage.ROBOT,
    stage_hint.ROBOT,
    send_sms.ROBOT,
    working_time_between.ROBOT,
    add_working_time.ROBOT,
    find_measurement_slots.ROBOT,
    book_measurement.ROBOT,
    confirm_measurement.ROBOT,
)
