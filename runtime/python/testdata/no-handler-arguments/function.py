def handler(a, b, c):
    pass
