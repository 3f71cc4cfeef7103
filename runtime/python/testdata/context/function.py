def handler(req, context):
    match req.path:
        case '/keys':
            return list(context)
        case '/event':
            event = context.event
            return [event['id'], event['kind'], event['attempt'], 1.7e9 < event['time'] < context.deadline, context.request_id]
        case '/camel':
            return [context.functionId == context['functionId'] == context.get('functionId') == context.function_id, context.nodeId]
        case '/missing':
            return context.nothing
        case '/get':
            return [context.get('nothing'), context.get('nothing', 1)]
        case '/aleph':
            return [context.aleph is context['aleph'], context.aleph.store is context['aleph']['store']]
