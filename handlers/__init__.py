"""Everything that happens by itself, one file each: events of the portal, and timers of ours.

To add one: write its file (read, recall, decide, remember, act, then HANDLER or TIMER), name it here, give it a test in
tests/handlers/ and a line in the changelog. The event is bound on every portal at its next installation or update.
"""

from handlers import call_ended, call_lost, call_ringing, call_started, lead_created, queue, reconcile

HANDLERS = (
    lead_created.HANDLER,
    lead_created.DEAL_HANDLER,
    call_ringing.HANDLER,
    call_started.HANDLER,
    call_ended.HANDLER,
)
TIMERS = (queue.TIMER, call_lost.TIMER, reconcile.TIMER)
