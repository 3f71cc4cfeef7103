"""The program's files and the library's cannot be changed; what loading leaves in /tmp is in every instance."""

import errno
import importlib.resources
import inspect
import os
import pathlib

with open("/tmp/left", "w") as f:
    f.write("by loading")


def code(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"


def handler(req):
    with open("/tmp/left", "a") as f:
        f.write(", once")
    here = pathlib.Path(__file__)
    return {
        "file": __file__,
        "cwd": os.getcwd(),
        "source": inspect.getsource(code).splitlines()[0],
        "data": (here.parent / "data" / "text.txt").read_text(),
        "relative": open("data/text.txt").read(),
        "files": sorted(str(p.relative_to("/app")) for p in here.parent.rglob("*") if "." in p.name and p.name != "cases.json"),
        "left": open("/tmp/left").read(),
        "library": importlib.resources.files("json").joinpath("decoder.pyc").is_file(),
        "refused": [
            code(open, "/app/function.py", "w"),
            code(open, "/app/new", "w"),
            code(os.unlink, "/app/function.py"),
            code(os.mkdir, "/app/new"),
            code(os.rmdir, "/app/data"),
            code(os.rename, "/app/function.py", "/tmp/x"),
            code(os.rename, "/tmp/left", "/app/left"),
            code(open, "/lib/new", "w"),
            code(open, "/new", "w"),
            code(os.rmdir, "/tmp"),
            code(os.utime, "/app/function.py"),
        ],
    }
