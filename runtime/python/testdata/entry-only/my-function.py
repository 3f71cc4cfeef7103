from helper.text import TEXT


def handler(req):
    return TEXT
