"""How a race asks a racer for its next steps: a line with their number in, their seconds out.

Racers are processes of their own, which wait while the others have their turn. Nothing but Python's
standard library here: peers run where keras_gan is not installed.
"""

import sys
import time
from collections.abc import Iterator

READY, TOOK = "turns: ready", "turns: took "  # whatever else a library prints is passed over


def turns() -> Iterator[int]:
    """Yield how many steps to play, and answer with their seconds when asked for the next turn.

    Begin after a warm-up, in which libraries compile. The last step must be done, not only queued.
    """
    print(READY, flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        yield int(line)
        print(f"{TOOK}{time.perf_counter() - start}", flush=True)
