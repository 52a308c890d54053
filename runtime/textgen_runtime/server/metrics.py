"""The path ``/metrics``: counts and times in the text format of Prometheus."""

from collections.abc import Collection, Iterator
from http import HTTPStatus
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from textgen_runtime._version import __version__

from .requests import Settings
from .worker import Worker

# The label of paths that do not exist, or that have the name of a model.
OTHER_PATH = "other"

# nginx's status of a request whose client left before the response.
CLIENT_GONE = 499

# Upper ends of the histograms' classes, in seconds. A long text of a large model takes minutes.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics(Collector):
    """The measurements of a server.

    Args:
        worker: Counts the texts and the tokens.
        settings: The settings of the server.
    """

    def __init__(self, worker: Worker, settings: Settings) -> None:
        self._worker = worker
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "textgen_requests",
            f"Requests; the status is {CLIENT_GONE} if the client left before the response.",
            ["path", "status"],
            registry=registry,
        )
        self._start, self._end = [
            Histogram(
                name,
                f"Time from a request for texts to the {what} of its response.",
                ["path"],
                registry=registry,
                buckets=BUCKETS,
            )
            for name, what in (
                ("textgen_response_start_seconds", "start"),
                ("textgen_response_seconds", "end"),
            )
        ]
        labels = {"model": settings.model_name, "engine": worker.model.engine.name, "version": __version__}
        Gauge("textgen_info", "The value is 1.", labels, registry=registry).labels(**labels).set(1)
        registry.register(self)
        ProcessCollector(registry=registry)

    def collect(self) -> Iterator[Metric]:
        """Yield what the worker counts."""
        worker = self._worker
        yield GaugeMetricFamily("textgen_texts_running", "Texts that are generated now.", worker.users)
        yield GaugeMetricFamily("textgen_texts_waiting", "Texts that wait now.", worker.waiting)
        yield CounterMetricFamily(
            "textgen_prompt_tokens", "Accepted tokens of prompts.", worker.prompt_tokens
        )
        yield CounterMetricFamily("textgen_generated_tokens", "Generated tokens.", worker.generated_tokens)

    async def answer(self, _: Request) -> Response:
        """Answer a request for the measurements."""
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def measured(self, app: ASGIApp, paths: Collection[str]) -> ASGIApp:
        """Return an application whose requests are measured.

        The requests with which a browser asks for permission are not.

        Args:
            app: The application.
            paths: The paths that are measured by their own names.
        """

        async def call(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["method"] == "OPTIONS" and "Access-Control-Request-Method" in Headers(scope=scope):
                # A browser sends it before the request of a page, which counts.
                await app(scope, receive, send)
                return
            began = perf_counter()
            status, start = CLIENT_GONE, 0.0

            async def send_measured(message: Message) -> None:
                nonlocal status, start
                if message["type"] == "http.response.start":
                    status, start = message["status"], perf_counter() - began
                await send(message)

            try:
                await app(scope, receive, send_measured)
            finally:
                path = scope["path"] if scope["path"] in paths else OTHER_PATH
                self._requests.labels(path, str(status)).inc()
                # Errors, and requests for anything but texts, take little time and would hide that of texts.
                if status == HTTPStatus.OK and scope["method"] == "POST":
                    self._start.labels(path).observe(start)
                    self._end.labels(path).observe(perf_counter() - began)

        return call
