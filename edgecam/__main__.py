"""``python -m edgecam`` is ``edgecam``."""

from edgecam.cli import main

main()
