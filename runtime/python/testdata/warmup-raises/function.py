def warmup():
    raise ValueError("cold")


def handler(req):
    pass
