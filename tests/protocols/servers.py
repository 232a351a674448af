"""Real servers for the tests of probes, each on a port of its own, in a folder of its own, and gone afterwards."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest
import trustme

from tests.toxiproxy.world import free_port

READY_WITHIN_S: Final = 40.0
ENDS_WITHIN_S: Final = 10.0
SETUP_WITHIN_S: Final = 90.0
_POSTGRES_FOLDERS: Final = tuple(f"/usr/lib/postgresql/{version}/bin" for version in range(20, 10, -1))


def program(name: str, *folders: str) -> str:
    """Its path. Skips the test without it; with CI=true that is a failure."""
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"]))
    if found:
        return found
    return absent(f"no {name}; tests/system_packages.sh installs it")


def absent(reason: str) -> NoReturn:
    """Skips the test, since what it needs is not here; with CI=true that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _as_other() -> list[str]:
    """The words before a command that root may not run: it then runs as nobody."""
    if os.geteuid() != 0:
        return []
    return [program("setpriv"), "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder that the server's user owns. pytest's own are closed to all but root."""
    folder = Path(tempfile.mkdtemp(prefix="tailgate-server-"))
    try:
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(argv: list[str], is_ready: Callable[[], bool], folder: Path) -> Iterator[None]:
    """The server while it runs; killed if it does not end when asked."""
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        end = time.monotonic() + READY_WITHIN_S
        while not is_ready():
            text = log.read_text(errors="replace")[-2_000:]
            assert process.poll() is None, f"{argv[0]} ended at once:\n{text}"
            assert time.monotonic() < end, f"{argv[0]} is not ready:\n{text}"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(ENDS_WITHIN_S)


def _accepts(port: int) -> Callable[[], bool]:
    def accepts() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    return accepts


def _set_up(argv: list[str], folder: Path) -> None:
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=SETUP_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def postgres(*, asks_password: bool = True, tls: bool = False) -> Iterator[tuple[int, Path]]:
    """The port and the log of a PostgreSQL."""
    port = free_port()
    initdb, server = program("initdb", *_POSTGRES_FOLDERS), program("postgres", *_POSTGRES_FOLDERS)
    method = "scram-sha-256" if asks_password else "trust"
    with _folder() as folder:
        password = folder / "password"
        password.write_text("s3cret\n")
        password.chmod(0o644)
        words = ["-D", "data", "-U", "owner", "-A", method, "--pwfile", "password", "--no-sync", "-E", "UTF8"]
        _set_up([*_as_other(), initdb, *words, "--locale=C"], folder)
        options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
        if tls:
            _certificate(folder / "data")
            options.append("ssl=on")
        argv = [*_as_other(), server, "-D", "data", *(word for option in options for word in ("-c", option))]
        with _running(argv, _accepts(port), folder):
            _await_line(folder / "log", "ready to accept connections")
            yield port, folder / "log"


def _await_line(log: Path, text: str) -> None:
    """A server may accept connections before it takes sessions."""
    end = time.monotonic() + READY_WITHIN_S
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < end, f"`{text}` is not in {log}"
        time.sleep(0.05)


def _certificate(folder: Path) -> None:
    """server.crt and server.key, owned by the folder's owner."""
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    argv = [program("openssl"), *words.split(), "-keyout", "server.key", "-out", "server.crt"]
    _set_up(argv, folder)
    owner = folder.stat()
    for name in ("server.key", "server.crt"):
        os.chown(folder / name, owner.st_uid, owner.st_gid)
    (folder / "server.key").chmod(0o600)


@contextlib.contextmanager
def redis(*, password: str = "", authority: trustme.CA | None = None) -> Iterator[int]:
    """The port of a Redis that saves nothing. `authority`: it speaks TLS, with a certificate for localhost."""
    port = free_port()
    with _folder() as folder:
        argv = [program("redis-server"), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        argv += ["--port", "0" if authority else str(port)]
        if authority:
            leaf = authority.issue_cert("localhost")
            leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
            leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
            argv += ["--tls-port", str(port), "--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"]
            argv += ["--tls-auth-clients", "no"]
        if password:
            argv += ["--requirepass", password]
        with _running(argv, _accepts(port), folder):
            yield port


@contextlib.contextmanager
def mariadb() -> Iterator[tuple[int, Path]]:
    """The port and the log of a MariaDB."""
    port = free_port()
    server, install = program("mariadbd"), program("mariadb-install-db")
    with _folder() as folder:
        data = f"--datadir={folder}/data"
        # A server that starts removes every temporary table of its folder for them, those of another server too.
        own = ["--no-defaults", data, f"--tmpdir={folder}"]
        setup = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        _set_up([*_as_other(), install, *own, *setup], folder)
        address = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket"]
        argv = [*_as_other(), server, *own, *address, f"--pid-file={folder}/pid"]
        with _running(argv, _accepts(port), folder):
            yield port, folder / "log"


_GRPC: Final = """
import concurrent.futures, sys
import grpc
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
echo = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tailgate.Echo", {"Say": echo}),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
"""


@contextlib.contextmanager
def grpc() -> Iterator[int]:
    """The port of a gRPC server in a process of its own, since its threads do not bear a fork.

    Its one method, `/tailgate.Echo/Say`, answers with the bytes that it was sent.
    """
    port = free_port()
    with _folder() as folder, _running([sys.executable, "-c", _GRPC, str(port)], _accepts(port), folder):
        yield port


_KAFKA: Final = """
from confluent_kafka import Producer
client = Producer({"test.mock.num.brokers": 1})
(broker,) = client.list_topics(timeout=30).brokers.values()
print(f"port {broker.port}", flush=True)
while True:
    client.poll(60)
"""


@contextlib.contextmanager
def kafka() -> Iterator[int]:
    """The port of the broker that librdkafka plays for the tests of its clients. It advertises this port itself."""
    with _folder() as folder:
        port: list[str] = []

        def has_port() -> bool:
            port[:] = re.findall(r"^port (\d+)\n", (folder / "log").read_text(), re.MULTILINE)
            return bool(port)

        with _running([sys.executable, "-c", _KAFKA], has_port, folder):
            yield int(port[0])


@contextlib.contextmanager
def tls_server(folder: Path, *, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2) -> Iterator[int]:
    """The port of a server that shakes hands and then reads to the end."""
    _certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = oldest
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                accepted.settimeout(5)
                with contextlib.suppress(OSError), context.wrap_socket(accepted, server_side=True) as secured:
                    while secured.recv(1024):
                        pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
