"""Reads the types, which are its request's body, and compares them with what a function has. Its answer is what is not the same."""

import ast
import inspect


class Types:
    """The classes of a .pyi."""

    def __init__(self, text):
        self.classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}

    def nodes(self, name):
        """The members of a class and of what it extends."""
        node = self.classes[name]
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id in self.classes:
                yield from self.nodes(base.id)
        yield from node.body

    def members(self, name):
        found = set()
        for node in self.nodes(name):
            if isinstance(node, ast.AnnAssign):
                found.add(node.target.id)
            elif isinstance(node, ast.FunctionDef):
                found.add(node.name)
        return {name for name in found if not name.startswith("__")}

    def keys(self, name):
        """The keys that __getitem__ names."""
        found = set()
        for node in self.nodes(name):
            if isinstance(node, ast.FunctionDef) and node.name == "__getitem__":
                found |= {n.value for n in ast.walk(node.args.posonlyargs[1].annotation) if isinstance(n, ast.Constant)}
        return found

    def parameters(self, name):
        """Of each method, the parameters of its first overload."""
        found = {}
        for node in self.nodes(name):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, [argument.arg for argument in node.args.args])
        return found


class Differences(list):
    def same(self, what, has, types):
        if has != types:
            self.append(f"{what}: there is {has}, declared is {types}")


def public(value, beside):
    return {name for name in dir(type(value)) if not name.startswith("_")} - set(dir(beside))


def mapping(differences, types, name, value, more):
    """A dict whose keys are attributes: value has its keys, the declared attributes are these and more."""
    differences.same(f"{name}'s attributes", set(value) | more, types.members(name))
    differences.same(f"{name}'s own attributes", public(value, dict) - more - set(value), set())
    for member in types.members(name):
        if not hasattr(value, member):
            differences.append(f"{name}.{member} is not there")
    for key in types.keys(name):
        if key not in value and value.get(key) is None:
            differences.append(f"{name}[{key!r}] is not there")


def store_methods(differences, types, name, store):
    differences.same(f"{name}'s methods", public(store, object), types.members(name))
    for method, parameters in types.parameters(name).items():
        differences.same(f"{name}.{method}", ["self", *inspect.signature(getattr(store, method)).parameters], parameters)


def compare(types, req, context):
    differences = Differences()
    mapping(differences, types, "Request", req, {"raw_body", "rawBody", "json"})
    for name in ("Context", "AsyncContext"):
        mapping(differences, types, name, context, {"functionId", "nodeId", "requestId"})
    for name in ("Aleph", "AsyncAleph"):
        differences.same(name, public(context.aleph, dict), types.members(name))
    store_methods(differences, types, "Store", context.aleph.store)
    store_methods(differences, types, "AsyncStore", context.aleph.store)
    differences.same("HttpEvent", set(context.event), types.members("HttpEvent"))
    differences.same("Headers", (req.headers["Content-Type"], public(req.headers, dict)), (req.headers.get("content-type"), set()))
    for what, value, kind in (
        ("method", req.method, str), ("query", req.query, dict), ("raw_body", req.raw_body, bytes), ("json()", req.json, object),
        ("deadline", context.deadline, float), ("function_id", context.function_id, str), ("attempt", context.event["attempt"], int),
        ("time", context.event["time"], float), ("query's values", req.query["b"], list),
    ):
        if not isinstance(value, kind):
            differences.append(f"{what} is a {type(value).__name__}")
    return differences


async def handler(req, context):
    types = Types(req.raw_body.decode())
    differences = compare(types, req, context)
    store = context.aleph.store
    watch = store.watch("w")
    differences.same("Key", set(await store.set("w", 1)), types.members("Key"))
    differences.same("Change", set(await watch), types.members("Change"))
    page = await store.list()
    differences.same("Page", set(page), types.members("Page"))
    differences.same("Entry", set(page["entries"][0]), types.members("Entry"))
    try:
        await store.increment("w" * 2000)
        differences.append("StoreError: there was none")
    except Exception as error:
        differences.same("StoreError", (type(error).__name__, error.code), ("StoreError", "invalid_argument"))
    return differences
