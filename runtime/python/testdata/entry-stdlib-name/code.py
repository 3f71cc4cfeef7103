import json


def handler(req):
    return ['code', json.dumps({'a': 1})]
