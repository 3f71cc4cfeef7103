"""What is too deep is a RecursionError, in Python and in C, whatever the limit that the program sets."""

import ast
import copy
import functools
import json
import pickle
import re
import sys


def plain(n):
    return plain(n + 1)


def generator():
    yield from generator()


class Repr:
    def __repr__(self):
        return repr(self)


class Attribute:
    def __getattr__(self, name):
        return getattr(self, name + "x")


class Equal:
    def __eq__(self, other):
        return self == other


class Init:
    def __init__(self):
        Init()


def mapped(n):
    return list(map(mapped, [n]))


@functools.lru_cache(None)
def cached(n):
    return cached(n + 1)


def executed(n):
    exec("executed(n + 1)", {"executed": executed, "n": n})


def substituted(n):
    return re.sub("a", lambda match: substituted(n + 1), "a")


def nested(make):
    value = make(0)
    for _ in range(100000):
        value = make(value)
    return value


TESTS = {
    "plain": lambda: plain(0),
    "generator": lambda: next(generator()),
    "repr": lambda: repr(Repr()),
    "attribute": lambda: Attribute().x,
    "equal": lambda: Equal() == Equal(),
    "init": Init,
    "map": lambda: mapped(0),
    "cache": lambda: cached(0),
    "exec": lambda: executed(0),
    "sub": lambda: substituted(0),
    "json lists": lambda: json.loads("[" * 100000),
    "json objects": lambda: json.loads('{"a":' * 100000),
    "json of lists": lambda: json.dumps(nested(lambda v: [v])),
    "json of objects": lambda: json.dumps(nested(lambda v: {"a": v})),
    "json default": lambda: json.dumps(object(), default=lambda o: [object()]),
    "repr of lists": lambda: repr(nested(lambda v: [v])),
    "equal lists": lambda: nested(lambda v: [v]) == nested(lambda v: [v]),
    "copy": lambda: copy.deepcopy(nested(lambda v: [v])),
    "pickle": lambda: pickle.dumps(nested(lambda v: [v])),
    "isinstance": lambda: isinstance(0, nested(lambda v: (v or str,))),
    "compile sum": lambda: compile("1" + "+1" * 100000, "sum", "eval"),
    "compile attributes": lambda: compile("a" + ".b" * 100000, "attributes", "eval"),
}

# These use no stack, or have another limit.
BOUNDED = {
    "parser": (lambda: ast.parse("-" * 100000 + "1"), MemoryError),
    "parentheses": (lambda: ast.parse("(" * 1000 + ")" * 1000), SyntaxError),
}


def outcome(test):
    try:
        test()
    except Exception as error:
        return type(error)


def handler(req):
    if req.path == "/raised":
        sys.setrecursionlimit(1000000)
    surprises = {}
    for name, test in TESTS.items():
        if req.path == "/raised" and name in ("plain", "generator", "init", "cache", "copy", "exec"):
            continue  # memory is the limit of Python alone, and the parser has its own
        if (got := outcome(test)) is not RecursionError:
            surprises[name] = str(got)
    for name, (test, want) in BOUNDED.items():
        if (got := outcome(test)) is not want:
            surprises[name] = str(got)
    nested(lambda v: [v])  # is freed without recursion
    assert ast.literal_eval("[" * 150 + "]" * 150) != 0
    return surprises or "none"
