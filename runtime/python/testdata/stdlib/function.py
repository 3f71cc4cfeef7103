"""The parts of the standard library that are C, or have data."""

import datetime
import decimal
import hashlib
import hmac
import importlib
import io
import pkgutil
import sys
import unicodedata
import zoneinfo
from xml.etree import ElementTree

BUILT_IN = """
_asyncio _bisect _blake2 _bz2 _contextvars _csv _datetime _decimal _elementtree _heapq _json _lzma _md5 _pickle _queue _random _sha1
_sha3 _sqlite3 _statistics _struct _zoneinfo array binascii cmath math pyexpat unicodedata zlib
""".split()

# What cannot work, and what opens something when it is imported.
ABSENT = {
    "ctypes", "curses", "dbm.gnu", "dbm.ndbm", "crypt", "ensurepip", "fcntl", "grp", "idlelib", "lib2to3", "mmap", "msilib", "multiprocessing.connection", "pty",
    "pwd", "resource", "syslog", "termios", "test", "tkinter", "turtle", "tty", "turtledemo", "venv",
}
OPENS = {"antigravity", "this", "__main__"}


def imports():
    """Imports every module there is; returns the names of those that do not."""
    failed = []
    for module in pkgutil.iter_modules([p for p in sys.path if p.startswith("/lib/python")]):
        if module.name not in OPENS:
            try:
                importlib.import_module(module.name)
            except ImportError:
                failed.append(module.name)
    return failed


def hashes():
    data = b"The quick brown fox jumps over the lazy dog"
    assert hashlib.md5(data).hexdigest() == "9e107d9d372bb6826bd81d3542a419d6"
    assert hashlib.sha1(data).hexdigest() == "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"
    assert hashlib.sha256(data).hexdigest() == "d7a8fbb307d7809469ca9abcb0082e4f8d5651e46d3cdb762d02d0bf37c9e592"
    assert hashlib.sha512(data).hexdigest()[:32] == "07e547d9586f6a73f73fbac0435ed769"
    assert hashlib.sha3_256(data).hexdigest()[:32] == "69070dda01975c8c120c3aada1b28239"
    assert hashlib.blake2b(data).hexdigest()[:32] == "a8add4bdddfd93e4877d2746e62817b1"
    assert hashlib.shake_128(data).hexdigest(8) == "f4202e3c5852f918"
    assert hmac.new(b"key", data, "sha256").hexdigest()[:32] == "f7bc83f430538424b13298e6aa6fb143"
    for name, iterations, want in (
        ("md5", 2, "042407b552be345ad6eee2cf2f7ed01d"),
        ("sha1", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        ("sha256", 2, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
        ("SHA-512", 1, "867f70cf1ade02cff3752599a3a53dc4af34c7a669815ae5d513554e1c8cf252c02d470a285a0501bad999bfe943c08f050235d7d68b1da55e63f73b60a57fce"),
    ):
        assert hashlib.pbkdf2_hmac(name, b"password", b"salt", iterations).hex() == want, name
    assert hashlib.pbkdf2_hmac("sha1", b"passwordPASSWORDpassword", b"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096, 25).hex() == (
        "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038")
    assert hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1).hex() == (
        "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906")
    assert hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16).hex()[:32] == "fdbabe1c9d3472007856e7190d01e9fe"
    for arguments in ({"n": 3, "r": 8, "p": 1}, {"n": 1 << 20, "r": 8, "p": 1}, {"n": 16, "r": 1 << 40, "p": 1}):
        try:
            hashlib.scrypt(b"", salt=b"", **arguments)
            raise AssertionError(arguments)
        except ValueError:
            pass


def codecs():
    data = b"".join(str(i).encode() for i in range(50000))
    for name in ("zlib", "bz2", "lzma", "gzip"):
        module = importlib.import_module(name)
        packed = module.compress(data)
        assert len(packed) < len(data) / 2 and module.decompress(packed) == data, name
    assert b"\xa4\xb3".decode("euc-jp") == "こ" and "ß".encode("cp1252") == b"\xdf"


def times():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    assert datetime.datetime(2026, 7, 1, 12, tzinfo=zone).utcoffset() == datetime.timedelta(hours=2)
    assert datetime.datetime(2026, 1, 1, 12, tzinfo=zoneinfo.ZoneInfo("US/Pacific")).utcoffset() == datetime.timedelta(hours=-8)
    assert len(zoneinfo.available_timezones()) > 590


def values():
    assert decimal.Decimal(1) / 7 == decimal.Decimal("0.1428571428571428571428571429") and decimal.HAVE_THREADS is not None
    assert unicodedata.name("€") == "EURO SIGN" and unicodedata.normalize("NFC", "a\u0308") == "ä"
    root = ElementTree.fromstring("<a x='1'><b>text</b><b/></a>")
    assert [b.text for b in root.iter("b")] == ["text", None]
    out = io.BytesIO()
    ElementTree.ElementTree(root).write(out)
    assert out.getvalue() == b'<a x="1"><b>text</b><b /></a>'


def handler(req):
    for name in BUILT_IN:
        assert name in sys.builtin_module_names, name
    for test in (hashes, codecs, times, values):
        test()
    failed = set(imports())
    assert failed <= ABSENT, sorted(failed - ABSENT)
    return "all"
