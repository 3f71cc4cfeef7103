async def app(scope, receive, send):
    if scope['type'] == 'aleph.message':
        message = await receive()
        print(message['type'], message['body']['content'])
        await send({'type': 'aleph.message', 'body': {'seen': message['body']['sender']}})
    elif scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'http' + about(scope)})


def about(scope):
    if not scope['extensions']:
        return b''
    event = scope['extensions']['aleph']['event']
    return f" {event['id']} {event['trigger']}".encode()
