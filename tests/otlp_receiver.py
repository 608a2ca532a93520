"""An OTLP endpoint on loopback that keeps the last value of every stream of metrics, and the spans."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


class Receiver:
    """Speaks `http/protobuf`. Streams are told apart by resource, start, name and attributes, as a backend may."""

    def __init__(self) -> None:
        self.spans: list[str] = []
        self._last: dict[Any, float] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver._take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to push here, at its end alone."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._server.server_port}",
            "OTEL_METRIC_EXPORT_INTERVAL": "3600000",
        }

    def total(self, name: str, *attribute: str) -> float:
        """The sum of a metric over all streams: values of a counter, counts of a histogram.

        With an attribute's key and value only of the streams that have it.
        """
        wanted = _attribute(*attribute) if attribute else b""
        with self._lock:
            return sum(value for (_, _, metric, held), value in self._last.items() if metric == name and wanted in held)

    def _take(self, path: str, body: bytes) -> None:
        with self._lock:
            if path.endswith("/traces"):
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.spans += [span.name for scope in resource.scope_spans for span in scope.spans]
                return
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in [metric for scope in resource.scope_metrics for metric in scope.metrics]:
                    self._keep(resource.resource.SerializeToString(deterministic=True), metric)

    def _keep(self, resource: bytes, metric: Any) -> None:
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            attributes = b"".join(sorted(each.SerializeToString() for each in point.attributes))
            value = point.count if hasattr(point, "count") else point.as_int or point.as_double
            self._last[resource, point.start_time_unix_nano, metric.name, attributes] = value


def _attribute(key: str, value: str) -> bytes:
    return KeyValue(key=key, value=AnyValue(string_value=value)).SerializeToString(deterministic=True)
