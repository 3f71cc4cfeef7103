def handler(req):
    return 'other'
