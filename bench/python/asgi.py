"""The guide's function as a bare ASGI application: no framework between it and the server."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs


async def app(scope: dict[str, Any], receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        return
    name = parse_qs(scope["query_string"].decode()).get("name", ["World"])[0]
    body = json.dumps({"message": f"Hello, {name}!"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
