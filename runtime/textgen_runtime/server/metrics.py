"""The path ``/metrics``: counts and times in the text format of Prometheus."""

from collections import defaultdict
from collections.abc import Collection
from http import HTTPStatus
from time import perf_counter

from starlette.datastructures import Headers
from starlette.requests import Request as HTTPRequest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .worker import Worker

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# The label of paths that do not exist, or that have the name of a model.
OTHER_PATH = "other"

# nginx's status of a request whose client left before the response.
CLIENT_GONE = 499


class Metrics:
    """The measurements of a server.

    Args:
        worker: Counts the texts and the tokens.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        # The values of the series of requests, by their names with labels.
        self._values: defaultdict[str, float] = defaultdict(int)

    async def answer(self, _: HTTPRequest) -> Response:
        """Answer a request for the measurements."""
        worker = self._worker
        values = {
            **self._values,
            "textgen_texts_running": worker.users,
            "textgen_texts_waiting": worker.waiting,
            "textgen_prompt_tokens_total": worker.prompt_tokens,
            "textgen_generated_tokens_total": worker.generated_tokens,
        }
        # The series of a metric must be successive.
        lines = [f"{name} {value}\n" for name, value in sorted(values.items())]
        return Response("".join(lines), headers={"Content-Type": CONTENT_TYPE})

    def measured(self, app: ASGIApp, paths: Collection[str]) -> ASGIApp:
        """Return an application whose requests are measured.

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
                self._values[f'textgen_requests_total{{path="{path}",status="{status}"}}'] += 1
                # Errors, and requests for anything but texts, take little time and would hide that of texts.
                if status == HTTPStatus.OK and scope["method"] == "POST":
                    seconds = {"response_start": start, "response": perf_counter() - began}
                    for name, value in seconds.items():
                        self._values[f'textgen_{name}_seconds_sum{{path="{path}"}}'] += value
                        self._values[f'textgen_{name}_seconds_count{{path="{path}"}}'] += 1

        return call
