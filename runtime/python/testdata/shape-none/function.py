def handler():
    return ['/', True]
