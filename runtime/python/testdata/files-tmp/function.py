"""What a file system does, in /tmp: each test raises if it does not."""

import errno
import os
import shutil
import sqlite3
import stat
import tempfile
import zipfile


def refused(code, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == code, f"{errno.errorcode.get(error.errno)}, want {errno.errorcode[code]}"
    else:
        raise AssertionError(f"{call.__name__}{arguments} is allowed")


def contents():
    with open("a", "w") as f:
        assert f.write("one\ntwo\n") == 8
    with open("a", "a") as f:
        f.write("three\n")
    with open("a") as f:
        assert f.readlines() == ["one\n", "two\n", "three\n"]
    with open("a", "r+b") as f:
        f.seek(4)
        f.write(b"TWO")
        f.seek(-6, os.SEEK_END)
        assert f.read() == b"three\n" and f.tell() == 14
        f.truncate(7)
        f.seek(10)
        f.write(b"!")
    with open("a", "rb") as f:
        assert f.read() == b"one\nTWO\0\0\0!"
    with open("a", "wb"):
        pass
    assert os.path.getsize("a") == 0
    refused(errno.EEXIST, open, "a", "x")
    refused(errno.ENOENT, open, "none")
    refused(errno.EINVAL, os.lseek, os.open("a", os.O_RDONLY), -1, os.SEEK_SET)


def descriptors():
    with open("d", "w") as f:
        refused(errno.EBADF, os.read, f.fileno(), 1)
    with open("d") as f:
        refused(errno.EBADF, os.write, f.fileno(), b"x")
    fd = os.open("d", os.O_RDWR | os.O_APPEND)
    os.write(fd, b"123")
    assert os.pwrite(fd, b"0", 0) == 1 and os.pread(fd, 2, 1) == b"23"
    os.ftruncate(fd, 1)
    os.fsync(fd)
    os.unlink("d")
    assert os.fstat(fd).st_size == 1 and not os.path.exists("d")
    os.close(fd)
    refused(errno.EBADF, os.close, fd)
    opened = []
    try:
        for _ in range(300):
            opened.append(open("d", "w"))
        raise AssertionError("300 files are open")
    except OSError as error:
        assert error.errno == errno.EMFILE
    for f in opened:
        f.close()


def names():
    os.makedirs("x/y/z")
    refused(errno.EEXIST, os.mkdir, "x")
    refused(errno.ENOTEMPTY, os.rmdir, "x")
    refused(errno.EISDIR, open, "x", "w")
    open("x/f", "w").close()
    refused(errno.ENOTDIR, os.mkdir, "x/f/g")
    refused(errno.ENOTDIR, os.rmdir, "x/f")
    refused(errno.EISDIR, os.unlink, "x/y")
    refused(errno.EINVAL, os.rename, "x", "x/y/w")
    refused(errno.ENAMETOOLONG, open, "n" * 256, "w")
    open("n" * 255, "w").close()
    open("äöü €", "w").close()
    assert "äöü €" in os.listdir(".")
    assert sorted(os.listdir("x")) == ["f", "y"]
    assert os.path.samefile("x/y/../f", "./x//f")
    with open("g", "w") as f:
        f.write("g")
    os.replace("g", "x/f")
    with open("x/f") as f:
        assert f.read() == "g"
    os.rename("x/y", "y")
    assert os.path.isdir("y/z") and not os.path.exists("x/y")
    assert [e.name for e in os.scandir("x") if e.is_file()] == ["f"]
    os.symlink("x/f", "link")
    assert os.readlink("link") == "x/f" and os.path.islink("link") and open("link").read() == "g"
    os.symlink("loop", "loop")
    refused(errno.ELOOP, open, "loop")
    os.chdir("y")
    assert os.getcwd().endswith("/y") and os.listdir() == ["z"]
    os.chdir("..")
    for i in range(300):
        open(f"x/{i}", "w").close()
    assert len(os.listdir("x")) == 301
    shutil.rmtree("x")
    assert not os.path.exists("x")


def times():
    open("t", "w").close()
    first = os.stat("t")
    assert stat.S_ISREG(first.st_mode) and first.st_mtime > 1.7e9 and first.st_nlink == 1
    os.utime("t", (10, 20))
    assert os.stat("t").st_mtime == 20 and os.stat("t").st_atime == 10
    with open("t", "w") as f:
        f.write("now")
    assert os.stat("t").st_mtime >= first.st_mtime


def users():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(".", f"{folder}/copy", ignore=lambda *_: ["link", "loop"], dirs_exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as f:
            f.write(b"named")
            f.flush()
            assert os.path.getsize(f.name) == 5
        with tempfile.SpooledTemporaryFile(max_size=1) as f:
            f.write(b"spooled")
            f.seek(0)
            assert f.read() == b"spooled"
    assert not os.path.exists(folder)
    with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("in/side", "x" * 1000)
        z.write("/app/function.py", "function.py")
    with zipfile.ZipFile("z.zip") as z:
        assert z.testzip() is None and z.read("in/side") == b"x" * 1000
        z.extractall("unzipped")
    for name in ("file.db", ":memory:"):
        db = sqlite3.connect(name)
        db.execute("create table t(n integer primary key, s text)")
        db.executemany("insert into t(s) values(?)", [(str(i),) for i in range(1000)])
        db.commit()
        assert db.execute("select count(*), max(n) from t where s like '9%'").fetchone() == (111, 1000)
        db.execute("delete from t")
        db.rollback()
        assert db.execute("select count(*) from t").fetchone() == (1000,)
        db.close()
    db = sqlite3.connect("file.db")
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    db.execute("pragma journal_mode=memory")
    db.execute("vacuum")
    db.close()


def devices():
    assert len(set(open("/dev/urandom", "rb").read(64))) > 16
    assert open("/dev/zero", "rb").read(3) == b"\0\0\0"
    with open(os.devnull, "r+") as f:
        f.write("gone")
        assert f.read() == ""
    assert os.read(0, 10) == b""


def handler(req):
    os.mkdir("/tmp/test")
    os.chdir("/tmp/test")
    passed = []
    for test in (contents, descriptors, names, times, users, devices):
        test()
        passed.append(test.__name__)
    return passed
