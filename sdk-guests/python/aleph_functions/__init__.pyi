"""What a node gives to a function in Python, and takes from it: docs/python.md says what it means.

There is nothing of this at run time: import it under TYPE_CHECKING. What is not here is not there.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping
from typing import Any, Literal, NotRequired, Protocol, TypeAlias, TypedDict, overload

class Headers(dict[str, str]):
    """The headers by name in lower case, found in any case. One that came several times is joined by ", " (cookie by "; ")."""

class Request(dict[str, Any]):
    """The request, or the event as one: a POST to "/" with its payload as the body. Keys are attributes, too."""

    method: str  # upper case
    path: str  # what follows the program's id in the URL, at least "/"; not decoded
    query: dict[str, str | list[str]]  # decoded; a key that comes twice has a list
    headers: Headers
    body: Any  # None if empty, what the JSON says if it is JSON, else a str, or bytes
    raw_body: bytes
    rawBody: bytes

    @overload
    def __getitem__(self, key: Literal["method", "path"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["query"], /) -> dict[str, str | list[str]]: ...
    @overload
    def __getitem__(self, key: Literal["headers"], /) -> Headers: ...
    @overload
    def __getitem__(self, key: str, /) -> Any: ...
    def json(self) -> Any:
        """The body read as JSON, whatever its content type says; None without a body."""

class _Context(dict[str, Any]):
    function_id: str  # the program's id
    node_id: str
    account: str  # the address of the program's owner
    request_id: str  # also in Aleph-Request-Id and in the log
    deadline: float  # Unix seconds
    event: Event  # what made the call
    functionId: str  # the names of JavaScript's functions
    nodeId: str
    requestId: str

    @overload
    def __getitem__(self, key: Literal["function_id", "node_id", "account", "request_id"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["functionId", "nodeId", "requestId"], /) -> str: ...
    @overload
    def __getitem__(self, key: Literal["deadline"], /) -> float: ...
    @overload
    def __getitem__(self, key: Literal["event"], /) -> Event: ...
    @overload
    def __getitem__(self, key: str, /) -> Any: ...

class Context(_Context):
    """What is known of the call, in a function. Keys are attributes, too."""

    aleph: Aleph

class AsyncContext(_Context):
    """What is known of the call, in an async function: what the store's methods give is awaited."""

    aleph: AsyncAleph

class Aleph(dict[str, Store]):
    @property
    def store(self) -> Store: ...

class AsyncAleph(dict[str, AsyncStore]):
    @property
    def store(self) -> AsyncStore: ...

class StoreError(Exception):
    """What the store raises, for annotations: code says which error it is."""

    code: Literal["invalid_argument", "not_a_counter", "quota_exceeded", "value_too_large", "unavailable", "not_available"]

class Key(TypedDict):
    key: str

class Entry(TypedDict):
    key: str
    value: Any

class Page(TypedDict):
    """A page of a listing; cursor is None on the last."""

    keys: list[str]
    entries: list[Entry]
    cursor: str | None

class Change(TypedDict):
    """A change in the store; the value of a deleted key is None."""

    key: str
    value: Any
    deleted: bool

class Store(Protocol):
    """The program's keys and values on the node. A value is what JSON can hold, or bytes; a failure raises a StoreError."""

    def get(self, key: str | Mapping[str, Any]) -> Any:
        """The value of key, or None."""
    @overload
    def set(self, key: str, value: Any, ttl: int | None = None) -> Key: ...
    @overload
    def set(self, key: Mapping[str, Any]) -> Key: ...
    def delete(self, key: str | Mapping[str, Any]) -> bool:
        """Removes the key. Whether it was there."""
    def list(self, prefix: str | Mapping[str, Any] = "", limit: int | None = None, cursor: str | None = None) -> Page:
        """A page, in the order of keys."""
    def increment(self, key: str | Mapping[str, Any], by: int = 1) -> int:
        """Adds to a counter that begins at 0. The new number."""
    @overload
    def compare_and_set(self, key: str, expected: Any, value: Any, ttl: int | None = None) -> bool: ...
    @overload
    def compare_and_set(self, key: Mapping[str, Any]) -> bool: ...
    @overload
    def compareAndSet(self, key: str, expected: Any, value: Any, ttl: int | None = None) -> bool: ...
    @overload
    def compareAndSet(self, key: Mapping[str, Any]) -> bool: ...
    def watch(self, prefix: str | Mapping[str, Any] = "") -> Change:
        """Waits for the next change of a key that begins with prefix."""

class Watch(Protocol):
    """A change that is awaited; with async for, one after another."""

    def __await__(self) -> Generator[Any, None, Change]: ...
    def __aiter__(self) -> AsyncIterator[Change]: ...

class AsyncStore(Protocol):
    """The same, in an async function: every method starts its operation at once."""

    def get(self, key: str | Mapping[str, Any]) -> Awaitable[Any]: ...
    @overload
    def set(self, key: str, value: Any, ttl: int | None = None) -> Awaitable[Key]: ...
    @overload
    def set(self, key: Mapping[str, Any]) -> Awaitable[Key]: ...
    def delete(self, key: str | Mapping[str, Any]) -> Awaitable[bool]: ...
    def list(self, prefix: str | Mapping[str, Any] = "", limit: int | None = None, cursor: str | None = None) -> Awaitable[Page]: ...
    def increment(self, key: str | Mapping[str, Any], by: int = 1) -> Awaitable[int]: ...
    @overload
    def compare_and_set(self, key: str, expected: Any, value: Any, ttl: int | None = None) -> Awaitable[bool]: ...
    @overload
    def compare_and_set(self, key: Mapping[str, Any]) -> Awaitable[bool]: ...
    @overload
    def compareAndSet(self, key: str, expected: Any, value: Any, ttl: int | None = None) -> Awaitable[bool]: ...
    @overload
    def compareAndSet(self, key: Mapping[str, Any]) -> Awaitable[bool]: ...
    def watch(self, prefix: str | Mapping[str, Any] = "") -> Watch: ...

class _AnyEvent(TypedDict):
    id: str  # the same at every attempt at the event, and at no other event of the program
    attempt: int  # 1 is the first
    time: float  # Unix seconds, at dispatch

class HttpEvent(_AnyEvent):
    kind: Literal["http"]

class _TriggeredEvent(_AnyEvent):
    trigger: str  # the trigger's name

class ScheduleEvent(_TriggeredEvent):
    kind: Literal["schedule"]
    scheduled_at: str  # when it was due: RFC 3339, UTC
    schedule: str  # the expression

class MessageEvent(_TriggeredEvent):
    kind: Literal["message"]
    message: AlephMessage

class TopicEvent(_TriggeredEvent):
    kind: Literal["topic"]
    topic: str

class LogEvent(_TriggeredEvent):
    kind: Literal["log"]
    log: ChainLog

class BlockEvent(_TriggeredEvent):
    kind: Literal["block"]
    block: ChainBlock

class TransferEvent(_TriggeredEvent):
    kind: Literal["transfer"]
    transfer: ChainTransfer

Event: TypeAlias = HttpEvent | ScheduleEvent | MessageEvent | TopicEvent | LogEvent | BlockEvent | TransferEvent

class AlephMessage(TypedDict):
    """A message of the network, with its content."""

    chain: str
    sender: str
    channel: NotRequired[str]
    time: float  # Unix seconds
    type: str
    item_type: str
    item_hash: str
    item_content: NotRequired[str]
    signature: str
    content: Any

class _Block(TypedDict):
    number: int
    hash: str
    timestamp: int

class _OwnBlock(_Block):
    parentHash: str

class _Transaction(TypedDict):
    hash: str
    index: int

class _Log(TypedDict):
    address: str
    index: int
    topics: list[str]
    data: str | None  # None if it is longer than 128 KiB
    dataSize: NotRequired[int]  # then

class _LogValues(TypedDict):
    name: str
    signature: str
    args: dict[str, Any] | None  # integers are decimal strings; None if the log's data is none of the event's
    error: NotRequired[str]  # then

_Transfer = TypedDict("_Transfer", {"from": str, "to": str, "value": str})  # value: wei, a decimal string

class _ChainTrigger(TypedDict):
    programId: str
    filter: str
    attempt: int

class _ChainEvent(TypedDict):
    id: str
    chain: str
    chainId: int
    removed: bool  # a block that this was in is no more: what was done for it has to be undone
    confirmations: int
    trigger: _ChainTrigger

class ChainLog(_ChainEvent):
    type: Literal["blockchain.event"]
    block: _Block
    transaction: _Transaction
    log: _Log
    event: _LogValues

class ChainBlock(_ChainEvent):
    type: Literal["blockchain.block"]
    block: _OwnBlock

class ChainTransfer(_ChainEvent):
    type: Literal["blockchain.transfer"]
    block: _Block
    transaction: _Transaction
    transfer: _Transfer

Reply: TypeAlias = Any
"""None (204), a text, bytes, {status, headers, body}, (body, status, headers), a framework's response, or what JSON can hold."""

Handler: TypeAlias = Callable[[Request], Reply] | Callable[[Request, Context], Reply] | Callable[[Request, AsyncContext], Awaitable[Reply]]
