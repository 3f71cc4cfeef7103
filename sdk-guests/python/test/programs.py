"""Programs that the types take, and below them what they must not take: mypy says so where an ignore is not needed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aleph_functions import AsyncContext, Context, Event, Handler, Reply, Request


def hello(req: Request) -> Reply:
    name = req.query.get("name", "World")
    return {"message": f"Hello, {name}!", "type": req.headers.get("Content-Type"), "bytes": len(req.raw_body), "path": req["path"].upper()}


def counter(req: Request, context: Context) -> Reply:
    store = context.aleph.store
    visits: int = store.increment(req.path)
    page = store.list(prefix="/", limit=10)
    store.set({"key": "a", "value": 1})
    store.set("b", b"bytes", ttl=60)
    if store.compare_and_set("lock", None, "me"):
        store.delete("lock")
    return {"visits": visits, "keys": page["keys"], "next": page["cursor"], "account": context["account"].lower()}


async def notes(req: Request, context: AsyncContext) -> Reply:
    store = context.aleph.store
    visits, _ = await asyncio.gather(store.increment("visits"), store.set("note/1", {"text": "first"}))
    async for change in store.watch("note/"):
        if change["deleted"]:
            break
    change = await store.watch("note/")
    return visits + len(change["key"])


def about(event: Event) -> str:
    if event["kind"] == "schedule":
        return event["scheduled_at"] + event["schedule"] + event["trigger"]
    if event["kind"] == "transfer":
        return event["transfer"]["transfer"]["from"]
    if event["kind"] == "log":
        return str((event["log"]["event"]["args"] or {}).get("value"))
    if event["kind"] == "block":
        return event["block"]["block"]["parentHash"]
    return event["id"]


handlers: list[Handler] = [hello, counter, notes]


def unlooked(req: Request) -> str:
    return req.query["name"].upper()  # type: ignore[union-attr]


def field(req: Request) -> Any:
    return req.url  # type: ignore[attr-defined]


def wait(context: Context) -> Any:
    return context.wait_until  # type: ignore[attr-defined]


def key(context: Context) -> Any:
    return context.aleph.store.get(1)  # type: ignore[arg-type]


def ttl(context: Context) -> Any:
    return context.aleph.store.set("k", 1, ttl="1h")  # type: ignore[call-overload]


def scheduled(event: Event) -> str:
    return event["scheduled_at"]  # type: ignore[typeddict-item]


async def awaited(context: AsyncContext) -> int:
    return context.aleph.store.increment("n")  # type: ignore[return-value]


async def plain(context: Context) -> int:
    return await context.aleph.store.increment("n")  # type: ignore[misc]
