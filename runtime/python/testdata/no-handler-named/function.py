def handler(req):
    pass
