"""tailgate's side of a run, as a process that a test can kill: up, go, tell `applied`, watch to the end.

    python -m tests.stack.stack_driver RUN_DIR LOCK_DIR RUN_ID BINARY|URL [key=value…]     (values are JSON)

A key that begins with `limit` sets RLIMIT_FSIZE for this process and all it starts.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from pathlib import Path

from harness.errors import TailgateError
from harness.stack.client import StackClient
from harness.stack.events import FaultChanged
from harness.toxiproxy.find import EngineChoice
from tests.own_ports import own_lease
from tests.stack.stack_scene import make_plan


def main() -> int:
    # tests started in the background or by nohup are deaf to these, and so would we be
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    run_dir, lock_dir, run_id, engine = sys.argv[1:5]
    options = {key: json.loads(value) for key, _, value in (word.partition("=") for word in sys.argv[5:])}
    limit = options.pop("limit_bytes", None)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if engine.startswith("http"):
        choice = EngineChoice("real", "TOXIPROXY_URL", url=engine)
    else:
        choice = EngineChoice("real", "PATH", path=Path(engine))
    options["stub"] = tuple(options.get("stub", ()))
    try:
        with own_lease(Path(lock_dir)) as lease:
            plan = make_plan(lease, run_id, **options)
            plan.write(Path(run_dir))
            with StackClient(Path(run_dir), plan, lease, choice) as stack:
                stack.up()
                stack.go()
                done = False
                while not done:
                    for event in stack.events(0.2):
                        if isinstance(event, FaultChanged):
                            print(event.entry.event, flush=True)
                        done = event.event in ("load_done", "down")
                print(stack.down().model_dump_json(), flush=True)
    except TailgateError as exc:
        print(exc.message, flush=True)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
