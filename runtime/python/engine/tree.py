"""Writes the engine's read-only files as one blob: tree.py OUTPUT (PATH DIRECTORY)...

The blob: the number of files, then for each the offset and length of its path and the offset and length of its content, all
little-endian u32; then the paths and contents, these aligned to 8 bytes. Files are in the order of their paths; equal ones share
their content.
"""

import os
import struct
import sys


def main(output: str, *mounts: str) -> None:
    files: list[tuple[bytes, str]] = []
    for path, directory in zip(mounts[::2], mounts[1::2], strict=True):
        for folder, _, names in os.walk(directory):
            for name in names:
                at = os.path.join(folder, name)
                files.append((os.path.join(path, os.path.relpath(at, directory)).encode(), at))
    files.sort()
    head = 4 + 16 * len(files)
    index, body = [struct.pack("<I", len(files))], bytearray()
    contents: dict[bytes, int] = {}
    for encoded, at in files:
        with open(at, "rb") as f:
            content = f.read()
        path_at = head + len(body)
        body += encoded
        if content not in contents:
            body += bytes(-(head + len(body)) % 8)
            contents[content] = head + len(body)
            body += content
        index.append(struct.pack("<4I", path_at, len(encoded), contents[content], len(content)))
    with open(output, "wb") as f:
        f.write(b"".join(index) + body)


main(*sys.argv[1:])
