"""Everything that happens by itself, one file each: events of the portal, and timers of ours.

To add one: write its file (read, recall, decide, remember, act, then HANDLER or TIMER), name it here, give it a test in
tests/handlers/ and a line in the changelog. The event is bound on every portal at its next installation or update.
"""

from handlers import (
    activity_added,
    admin_notice,
    calendar_changed,
    call_ended,
    call_lost,
    call_ringing,
    call_started,
    declined_reminder,
    gate_summary,
    lead_changed,
    lead_created,
    missed_call_sms,
    move_check,
    offline_events,
    queue,
    reconcile,
    sms_due,
    task_changed,
    visit,
    visit_watch,
)

HANDLERS = (
    lead_created.HANDLER,
    lead_created.DEAL_HANDLER,
    call_ringing.HANDLER,
    call_started.HANDLER,
    call_ended.HANDLER,
    lead_changed.HANDLER,
    lead_changed.DEAL_HANDLER,
    lead_changed.DELETED_HANDLER,
    lead_changed.DEAL_DELETED_HANDLER,
    task_changed.HANDLER,
    task_changed.DELETED_HANDLER,
    activity_added.HANDLER,
    calendar_changed.HANDLER,
    calendar_changed.DELETED_HANDLER,
)
TIMERS = (
    queue.TIMER,
    call_lost.TIMER,
    reconcile.TIMER,
    gate_summary.TIMER,
    move_check.TIMER,
    declined_reminder.TIMER,
    sms_due.TIMER,
    missed_call_sms.TIMER,
    visit.TIMER,
    visit_watch.TIMER,
    admin_notice.TIMER,
    offline_events.timer(HANDLERS),
)
