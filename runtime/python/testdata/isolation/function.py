import os, sys

count = 0


def handler(req):
    global count
    count += 1
    os.environ["COUNT"] = str(count)
    sys.modules["made"] = None
    exists = os.path.exists("/tmp/left")
    open("/tmp/left", "w").close()
    return [count, exists]
