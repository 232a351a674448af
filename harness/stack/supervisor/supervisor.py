"""The supervisor's process: it starts before its run is planned, and then does what `lifetime.Supervisor` says.

    python -P -m harness.stack.supervisor.supervisor [--fakes] --workers N STACK_ID

Commands come on stdin, events go out on stdout. While it waits for its assignment (`launch.receive`) it has started
nothing but processes on standby, so that the end of stdin, or a signal, just ends it and them. It has its own session:
neither Ctrl-C in a terminal nor the death of tailgate ends it before its work is done.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from harness.stack.standby.pool import FAKES, WORKER, StandbyPool
from harness.stack.supervisor import launch


def main() -> None:
    for number in (signal.SIGTTIN, signal.SIGTTOU):  # tailgate ignores them, and our children must not inherit that
        signal.signal(number, signal.SIG_DFL)
    standby = StandbyPool()

    def leave(*_: object) -> None:
        standby.end()
        os._exit(0)

    for signal_number in launch.SIGNALS:
        signal.signal(signal_number, leave)
    if "--fakes" in sys.argv:
        standby.start(FAKES)
    gc.disable()  # what is imported stays, so a search for garbage in it finds nothing
    from harness.model.plugins import leave_out_plugins

    leave_out_plugins()
    from harness.stack.supervisor import lifetime

    # only now, since the start of the service waits for the fakes and for us, and leaves a core to the workers
    for _ in range(int(sys.argv[sys.argv.index("--workers") + 1])):
        standby.start(WORKER)
    for step in lifetime.EARLY_STEPS:
        if not launch.is_assigned():
            step()
    gc.freeze()
    gc.enable()
    run_dir = launch.receive()
    if run_dir is None:
        leave()
    else:
        lifetime.supervise(run_dir, standby)


if __name__ == "__main__":
    main()
