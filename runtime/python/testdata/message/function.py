def handler(req, context):
    return [context.event['kind'], req.body]
