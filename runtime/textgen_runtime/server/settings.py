"""The limits and the identity of a server."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """What the options of ``textgen-serve`` set.

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

    @property
    def max_texts(self) -> int:
        """Maximum number of texts that are generated or wait."""
        return self.max_users + self.max_queue
