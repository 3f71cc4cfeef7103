def handler(*args):
    return [args[0].path, len(args) == 2]
