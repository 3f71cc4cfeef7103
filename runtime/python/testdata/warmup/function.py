cache = []


def warmup():
    cache.append("warm")


def handler(req):
    cache.append("call")
    return cache
