def handler(req, context=None):
    return [req.path, context is None]
