"""Prints the alerts that Alertmanager sends: python webhook.py ADDRESS PORT."""

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def told(notification: dict[str, Any]) -> Iterator[str]:
    """Each alert of a notification in a few lines."""
    for alert in notification["alerts"]:
        labels, annotations = alert["labels"], alert["annotations"]
        where = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")
        yield f"[{alert['status']}] {labels['alertname']} ({where})"
        yield f"    {annotations.get('summary', '')}"
        yield f"    {annotations.get('runbook_url', '')}"


class Webhook(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            lines = list(told(json.loads(content)))
        except (ValueError, KeyError, TypeError) as error:
            print(f"not a notification of Alertmanager: {error!r}")
            self._answer(400)
            return
        print("\n".join(lines))
        self._answer(200)

    def log_message(self, *_: object) -> None:
        """Keep quiet: the alerts are the output."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    address, port = sys.argv[1:]
    print(f"Waiting for alerts on {address}:{port}")
    ThreadingHTTPServer((address, int(port)), Webhook).serve_forever()
