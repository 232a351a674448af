"""A process whose first thread ends while another goes on, which Linux calls a zombie: it listens and holds memory.

    python headless_program.py SECONDS

Prints its port, and an empty line before its first thread ends.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
import threading
import time

EXIT_OF_A_THREAD = {"x86_64": 60}
"""The system call's number; 93 on the others."""


def main() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)
    hoard = b"x" * (40 << 20)

    def goes_on() -> None:
        time.sleep(float(sys.argv[1]))
        os._exit(len(hoard) % 2)

    threading.Thread(target=goes_on).start()
    libc = ctypes.CDLL(None)
    libc.syscall.restype = None
    print(flush=True)
    libc.syscall(EXIT_OF_A_THREAD.get(os.uname().machine, 93), 0)


if __name__ == "__main__":
    main()
