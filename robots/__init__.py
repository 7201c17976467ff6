"""The robots that consultants place on stages, one file each.

To add one: write its file (the docstring is its manual page; read, decide, act, answer, then ROBOT), name it here, give
it a test in tests/robots/ and a line in the changelog. No route, no setting, no migration.
"""

from robots import assign_manager

ROBOTS = (assign_manager.ROBOT,)
