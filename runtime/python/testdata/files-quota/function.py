"""/tmp holds 16 MiB; what is deleted is free again."""

import errno


def fill(path):
    written = 0
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                written += f.write(b"x" * 65536)
        except OSError as error:
            return written, errno.errorcode[error.errno]


def handler(req):
    import os

    full = fill("/tmp/a")
    more = fill("/tmp/b")
    os.unlink("/tmp/a")
    again = fill("/tmp/c")
    return [full, more, again]
