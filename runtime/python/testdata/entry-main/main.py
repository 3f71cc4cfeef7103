def handler(req):
    return 'main'
