def handler(req):
    name = 'ü'
    x = = 1
