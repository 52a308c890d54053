"""The ASGI application: routes, middleware and errors."""

import time
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from textgen_runtime.errors import shorten
from textgen_runtime.system.json_text import to_json

from .completion_request import check_model
from .completions import Completions
from .connections import ConnectionTimer
from .errors import RequestError
from .formats import encode_json
from .guard import Guard
from .scheduler import Scheduler
from .settings import Settings


def make_app(scheduler: Scheduler, settings: Settings) -> Starlette:
    """Return the application. ``scheduler.start`` must be called before the first request."""
    model = {
        "id": settings.model_name,
        "object": "model",
        "created": int(time.time()),
        "owned_by": "textgen",
    }

    async def list_models(_: Request) -> Response:
        return _json({"object": "list", "data": [model]})

    async def describe_model(request: Request) -> Response:
        check_model(request.path_params["name"], settings)
        return _json(model)

    async def health(_: Request) -> Response:
        status = "stopping" if scheduler.draining else "ok"
        counts = {"users": scheduler.users, "waiting": max(0, scheduler.texts - scheduler.users)}
        return _json({"status": status, **counts}, 503 if scheduler.draining else 200)

    middleware = [Middleware(ConnectionTimer)]
    if settings.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.origins,
                allow_methods=("GET", "POST"),
                allow_headers=("*",),
            )
        )
    middleware.append(Middleware(Guard, settings=settings))
    app = Starlette(
        routes=[
            Route("/v1/completions", Completions(scheduler, settings), methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/models/{name:path}", describe_model),
            Route("/health", health),
        ],
        middleware=middleware,
        exception_handlers={
            RequestError: _answer_request_error,
            HTTPException: _answer_http_error,
            Exception: _answer_defect,
        },
    )
    app.router.redirect_slashes = False
    return app


def _json(value: object, status: int = 200) -> Response:
    return Response(encode_json(value), status, media_type="application/json")


def _error(error: RequestError) -> Response:
    # Not encode_json: a quoted text may have characters that UTF-8 cannot encode.
    return Response(to_json(error.as_json()), error.status, error.headers, "application/json")


# Starlette passes the class of exception for which a handler is registered.
async def _answer_request_error(_: Request, error: Any) -> Response:
    return _error(error)


async def _answer_http_error(request: Request, error: Any) -> Response:
    """Answer a request for a path or a method that does not exist."""
    message = f"there is no {request.method} {shorten(request.url.path)}"
    if request.url.path.endswith("/chat/completions"):
        message += ": the model continues texts and holds no conversations: use POST /v1/completions"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = sorted({*error.headers["Allow"].split(", ")} - {"HEAD"})
        message += f": use {' or '.join(methods)}"
    return _error(RequestError(error.status_code, message, headers=error.headers))


async def _answer_defect(_: Request, __: Exception) -> Response:
    # Starlette raises the exception again, so that it is logged.
    return _error(RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed: see its log"))
