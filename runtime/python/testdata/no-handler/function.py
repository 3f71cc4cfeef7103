import os

VALUE = 1


def helper():
    pass
