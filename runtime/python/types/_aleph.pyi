"""The engine's contract as Python sees it (engine/module.c). For mypy only: the engine does not hold it."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

class Event(TypedDict):
    """What boot.handle is given: a view with these fields, of which any may be asked for."""

    kind: int
    request_id: str
    attempt: int
    deadline: int  # ns
    program: str
    node: str
    account: str
    seed: bytes
    time: int  # ns
    method: str
    path: str
    query: str  # raw
    headers: list[tuple[str, str]]  # lower case, latin-1
    body: bytes | None
    body_follows: bool
    root: str
    client: str  # host:port
    event_id: str  # empty: the request id
    details: list[tuple[str, str]]  # values are JSON

Text: TypeAlias = str | bytes | bytearray | memoryview
Number: TypeAlias = tuple[Literal["u32", "u64", "i64"], int]
Pair: TypeAlias = tuple[Literal["pair"], Text, Text]
Field: TypeAlias = tuple[int, int | Text | Number | Pair]
Header: TypeAlias = tuple[str | bytes, str | bytes]

fresh: int

def start(op: int, request: Text, /) -> int: ...
def wait(ticket: int, /) -> bytes: ...
def wait_any() -> tuple[int, bytes]: ...
def poll() -> tuple[int, bytes] | None: ...
def cancel(ticket: int, /) -> None: ...
def log(level: int, text: Text, /) -> None: ...
def reply(status: int, headers: Sequence[Header], body: Text | None, /) -> None: ...
def fail(code: int, message: Text, stack: Text, /) -> None: ...
def clock(id: int, /) -> int: ...
def random(n: int, /) -> bytes: ...
_R = TypeVar("_R", bound=dict[str, Any])

def event(frame: bytes, /) -> Event: ...
def request(event: Event, request: type[_R], headers: type[dict[str, str]], /) -> _R | tuple[_R, bytes | None]: ...
def query(raw: str, /) -> dict[str, str | list[str]]: ...
def frame(fields: Iterable[Field], /) -> bytes: ...
def fields(frame: bytes, /) -> list[tuple[int, bytes]]: ...
