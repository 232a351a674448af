"""A service that writes an event to Kafka for each request: `events_service.py PORT BROKER_ADDRESS`.

It waits until the broker has the event, for 800 ms at most, and answers 200 in any case. It writes one line to its log
for each event: `ok`, or the name of the error of the client, librdkafka.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread

from confluent_kafka import KafkaError, Message, Producer

PATIENCE_MS = 800


class Events:
    def __init__(self, broker: str) -> None:
        limits = {"message.timeout.ms": PATIENCE_MS, "linger.ms": 0, "reconnect.backoff.max.ms": 500}
        self._producer = Producer({"bootstrap.servers": broker, "log_level": 0, **limits})
        Thread(target=self._report, daemon=True).start()

    def _report(self) -> None:
        while True:
            self._producer.poll(1)

    def write(self, event: bytes) -> str:
        said: SimpleQueue[str] = SimpleQueue()

        def delivered(error: KafkaError | None, _: Message) -> None:
            said.put(error.name() if error else "ok")

        self._producer.produce("quotes", event, on_delivery=delivered)
        return said.get(timeout=10)


class Quotes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    events: Events

    def do_GET(self) -> None:
        if self.path != "/healthz":
            sys.stdout.write(f"{self.events.write(b'a quote')}\n")
            sys.stdout.flush()
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Only its own lines matter."""


if __name__ == "__main__":
    _, port, broker = sys.argv
    Quotes.events = Events(broker)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Quotes).serve_forever()
