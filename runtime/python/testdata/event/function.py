def handler(req, context):
    event = context.event
    del event['time']
    return {'event': event, 'body': req.body, 'method': req.method, 'path': req.path}
