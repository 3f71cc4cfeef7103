def handler(req):
    if req.path == '/caught':
        try:
            bytes(1 << 29)
        except MemoryError:
            return 'caught'
    held = []
    while True:
        held.append(bytes(1 << 20))
