import os

GREETING = os.environ['GREETING']


def handler(req):
    return [GREETING, os.getenv('NAME'), os.environ.get('NONE'), os.path.expanduser('~')]
