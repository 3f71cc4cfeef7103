def handler(req, *, context):
    return [req.path, context.node_id == 'node-1']
