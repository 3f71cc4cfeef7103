import logging

print("loading")
logging.warning("careful")


def handler(req):
    pass
