"""A request for texts: its fields, each of which is checked once, and what limits them."""

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass
from http import HTTPStatus
from typing import Any, NamedTuple, TypeAlias

from textgen_runtime._core import PARAMETERS
from textgen_runtime.errors import Name, SamplingError, TextgenError, quote
from textgen_runtime.json_text import from_json
from textgen_runtime.model import fresh_seed
from textgen_runtime.sampling import Sampling
from textgen_runtime.tokenizer import UnknownPolicy

# Those of OpenAI's API. A chat has the default length of the model.
DEFAULT_TEMPERATURE = 1.0
DEFAULT_LENGTH = 16

# Of all stop texts of a request. Their automaton has a state for each.
MAX_STOP_CHARACTERS = 10_000

# The log-probability of a token takes a hundred bytes until the response is sent.
MAX_SCORED_TOKENS = 10_000

# When a client should try again, in seconds.
RETRY = {"Retry-After": "1"}


@dataclass(frozen=True)
class Settings:
    """The identity and the limits of a server, which the options of ``textgen-serve`` set.

    Attributes:
        model_name: The name of the model in requests and responses.
        keys: The API keys, one of which a request must have. Empty if no key is required.
        origins: The origins of web pages that may send requests; ``"*"`` allows all.
        max_length: Maximum number of tokens per text.
        max_users: Maximum number of texts that are generated at the same time.
        max_queue: Maximum number of texts that wait.
        max_body: Maximum size of a request's body, in bytes.
        client_timeout: Seconds that a client may take to send a request or to read a part of a response.
        grace: Seconds that running requests may take after the server was told to stop.
        ignore_unknown_fields: Whether a request may have fields that the server does not know.
    """

    model_name: str
    keys: Collection[str] = ()
    origins: Collection[str] = ()
    max_length: int = 100_000
    max_users: int = 256
    max_queue: int = 512
    max_body: int = 2**18
    client_timeout: float = 30.0
    grace: float = 30.0
    ignore_unknown_fields: bool = False

    @property
    def max_texts(self) -> int:
        """Maximum number of texts that are generated or wait."""
        return self.max_users + self.max_queue


@dataclass(eq=False)
class RequestError(TextgenError):
    """A request that is answered with an error.

    Attributes:
        status: The HTTP status.
        message: One line that says what is wrong.
        param: The field of the request that is wrong, or None.
        code: A name of the error for programs, or None.
        headers: Further headers of the response, or None.
    """

    status: int
    message: str
    _: KW_ONLY
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        super().__init__(self.message)

    @classmethod
    def of(cls, error: TextgenError) -> "RequestError":
        """Return the response to an error of the model. It is the client's if it names a parameter."""
        status = 500 if error.parameter is None else 400
        return cls(status, error.spelled(spell_field), param=FIELDS.get(error.parameter, error.parameter))

    def as_json(self) -> dict[str, Any]:
        """Return the body of the response, in the shape of OpenAI's API."""
        kind = "server_error" if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            kind = "rate_limit_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


# The fields that have other names than the parameters.
FIELDS: dict[str | None, str] = {"length": "max_tokens"}


def spell_field(name: Name) -> str:
    """Return a parameter as a field of a request."""
    if name == "lowercase":
        # No field: the client converts the prompt.
        return "a prompt in lower case"
    if name == "novel":
        return "--novel of textgen-serve"
    return FIELDS.get(name, name) if name.value is None else f'"{name}": "{name.value}"'


# What a field of a JSON object may be: types, a range of integers, or the only values that are supported. The
# core checks the sampling parameters.
Field: TypeAlias = tuple[type, ...] | range | list[object] | None

TYPE_NAMES = {
    bool: "true or false",
    int: "an integer",
    str: "a string",
    list: "a list",
    dict: "an object",
}
SHARED_FIELDS: dict[str, Field] = {
    "model": (str,),
    "max_tokens": (int,),
    "max_completion_tokens": (int,),
    "n": (int,),
    "seed": range(2**128),
    "stream": (bool,),
    "stream_options": (dict,),
    "response_format": (dict,),
    "unknown": ["error", "skip"],
    # OpenAI's API has this field, too.
    "user": (str,),
    **dict.fromkeys(PARAMETERS),
}
TEXT_FIELDS: dict[str, Field] = {
    **SHARED_FIELDS,
    "prompt": (str, list),
    "echo": (bool,),
    # The number of alternatives to each token.
    "logprobs": range(1),
    "best_of": (int,),
    "messages": [],
    "suffix": [],
}
CHAT_FIELDS: dict[str, Field] = {
    **SHARED_FIELDS,
    "messages": (list,),
    "logprobs": (bool,),
    "top_logprobs": range(1),
    "prompt": [],
    "tools": [[]],
    "tool_choice": ["none", "auto"],
    "modalities": [["text"]],
    "audio": [],
}


def check_field(name: str, value: object, field: Field) -> None:
    """Raise a ``RequestError`` if the value of a field is wrong."""
    if isinstance(field, list):
        if value not in field:
            raise wrong(name, f"must be one of {field}" if field else "is not supported")
    elif field is not None:
        types = (int,) if isinstance(field, range) else field
        # In JSON, true is no integer.
        if type(value) not in types:
            kinds = " or ".join([TYPE_NAMES[kind] for kind in types])
            raise wrong(name, f"must be {kinds}, not {quote(value)}")
        if isinstance(field, range) and value not in field:
            raise wrong(name, f"must be from {field[0]} to {field[-1]}, not {quote(value)}")


class Request(NamedTuple):
    """A checked request for texts.

    Attributes:
        is_chat: Whether it is a request for chat completions.
        prompts: The texts to continue; None stands for one of the model's own prompts.
        choices: Number of texts per prompt.
        length: Maximum number of tokens per text.
        sampling: The sampling parameters.
        seed: The seed.
        unknown: What to do with characters of a prompt that are outside the vocabulary.
        echo: Whether each text starts with its prompt.
        logprobs: Whether the response has the log-probability of each token.
        stream: Whether the response is a stream of events.
        include_usage: Whether the stream ends with the number of tokens.
    """

    is_chat: bool
    prompts: list[str | None]
    choices: int
    length: int
    sampling: Sampling
    seed: int
    unknown: UnknownPolicy
    echo: bool
    logprobs: bool
    stream: bool
    include_usage: bool

    @property
    def prompt_field(self) -> str:
        """The field that has the prompts."""
        return "messages" if self.is_chat else "prompt"

    @property
    def texts(self) -> int:
        """Number of texts."""
        return len(self.prompts) * self.choices

    @property
    def characters(self) -> int:
        """Number of characters of all prompts."""
        return sum(len(prompt or "") for prompt in self.prompts)


def wrong(name: str, reason: str) -> RequestError:
    """Return the error for a field whose value is wrong for this reason."""
    return RequestError(400, f"{name} {reason}", param=name)


def parse_request(body: bytes, settings: Settings, default_length: int, *, is_chat: bool) -> Request:
    """Parse and check the body of a request.

    Args:
        body: The body.
        settings: The limits of the server.
        default_length: Maximum number of tokens per text of a chat if no field gives it.
        is_chat: Whether the request is for chat completions.

    Raises:
        RequestError: If it is wrong. The error names the field.
    """
    try:
        content = from_json(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise RequestError(400, f"the body is not JSON: {reason}", code="invalid_json") from None
    if not isinstance(content, dict):
        raise RequestError(400, "the body must be a JSON object", code="invalid_json")
    fields = _take(content, CHAT_FIELDS if is_chat else TEXT_FIELDS, settings.ignore_unknown_fields)
    check_model(fields.get("model"), settings)
    prompts = [_message(fields)] if is_chat else _prompts(fields, settings)
    length = _length(fields, settings, default_length if is_chat else DEFAULT_LENGTH)
    choices = fields.get("n", 1)
    check_field("n", choices, range(1, settings.max_texts // len(prompts) + 1))
    if fields.get("best_of", choices) != choices:
        raise wrong("best_of", "must be equal to n")
    logprobs = bool(fields.get("logprobs")) if is_chat else "logprobs" in fields
    echo = bool(fields.get("echo"))
    if logprobs and echo:
        raise wrong("echo", "is not for logprobs, which only generated tokens have")
    if logprobs and len(prompts) * choices * length > MAX_SCORED_TOKENS:
        raise wrong("logprobs", f"is limited to {MAX_SCORED_TOKENS} tokens per request")
    stream = bool(fields.get("stream"))
    usage = fields.get("stream_options", {}).get("include_usage") or False
    check_field("stream_options.include_usage", usage, (bool,))
    # A person types a chat's message, and a chat front end cannot say what to do with an emoji.
    unknown = fields.get("unknown", "skip" if is_chat else "error")
    sampling = _sampling(fields)
    seed = fields["seed"] if "seed" in fields else fresh_seed()
    shape = (echo, logprobs, stream, usage)
    return Request(is_chat, prompts, choices, length, sampling, seed, unknown, *shape)


def check_model(name: str | None, settings: Settings) -> None:
    """Raise a ``RequestError`` if a request is for another model."""
    if name not in (None, settings.model_name):
        message = f"there is no model {quote(name)}: this server has {quote(settings.model_name)}"
        raise RequestError(404, message, param="model", code="model_not_found")


def _take(values: Mapping[str, Any], fields: Mapping[str, Field], ignore: bool) -> dict[str, Any]:
    """Return the values of known fields, after a check. A field that is null counts as missing."""
    taken = {name: value for name, value in values.items() if value is not None}
    for name, value in [*taken.items()]:
        if name in fields:
            check_field(name, value, fields[name])
        elif ignore:
            del taken[name]
        else:
            raise RequestError(400, f"unknown field {quote(name)}", param=name, code="unknown_field")
    return taken


def _prompts(fields: Mapping[str, Any], settings: Settings) -> list[str | None]:
    given = fields.get("prompt", "")
    texts = [given] if isinstance(given, str) else given
    if not all(isinstance(text, str) for text in texts):
        raise wrong("prompt", "must be a string or a list of strings")
    if not 1 <= len(texts) <= settings.max_texts:
        raise wrong("prompt", f"must have from 1 to {settings.max_texts} strings, not {len(texts)}")
    # Some clients send an empty prompt by default.
    return [text or None for text in texts]


def _message(fields: Mapping[str, Any]) -> str | None:
    """Return the text of the last message. The others, and its other fields, have no effect."""
    messages = fields.get("messages")
    if not messages or not isinstance(messages[-1], dict):
        raise wrong("messages", "must be a list of messages: the model continues the last one")
    name, content = f"messages[{len(messages) - 1}].content", messages[-1].get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not parts:
        raise wrong(name, "must be a string or a list of parts")
    for part in parts:
        if not (isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)):
            raise wrong(name, "must have only parts of the type text")
    return "".join([part["text"] for part in parts]) or None


def _length(fields: Mapping[str, Any], settings: Settings, default: int) -> int:
    """Return the maximum number of tokens per text, which has an old and a new name."""
    length = min(default, settings.max_length)
    for name in ("max_tokens", "max_completion_tokens"):
        length = fields.get(name, length)
        check_field(name, length, range(settings.max_length + 1))
    return length


def _sampling(fields: Mapping[str, Any]) -> Sampling:
    """Return the sampling parameters, each of which is a field of its name. The core checks their values."""
    values = {name: value for name, value in fields.items() if name in PARAMETERS}
    schema = _schema(fields.get("response_format"))
    if schema is not None and "json_schema" in values:
        raise wrong("response_format", "and json_schema are two schemas: send only one")
    if schema is not None:
        values["json_schema"] = schema
    try:
        sampling = Sampling(**{"temperature": DEFAULT_TEMPERATURE, **values})
    except SamplingError as error:
        raise RequestError.of(error) from None
    except TypeError:
        for name, value in values.items():
            try:
                Sampling(**{name: value})
            except TypeError as error:
                raise RequestError(400, str(error), param=name) from None
            except SamplingError:
                continue
        raise
    if sum(map(len, sampling.stop)) > MAX_STOP_CHARACTERS:
        raise wrong("stop", f"must have at most {MAX_STOP_CHARACTERS} characters")
    return sampling


def _schema(response_format: Any) -> dict[str, Any] | None:
    """Return the JSON schema that the field asks for, or None if any text will do.

    Its other parts have no effect: every schema is followed strictly.
    """
    match response_format:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return {"type": "object"}
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            return schema
    raise wrong("response_format", 'must have a type, and for "type": "json_schema" a json_schema.schema')
