import asyncio
import gc

begun = []


async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        assert (await receive())['type'] == 'lifespan.startup'
        begun.append('startup')
        scope['state']['database'] = {'loop': asyncio.get_running_loop()}
        await send({'type': 'lifespan.startup.complete'})
        try:
            await receive()
        finally:
            begun.append('shutdown')  # also if the coroutine is thrown away
        return
    gc.collect()
    state = scope['state']
    state['count'] = state.get('count', 0) + 1
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': repr([begun, state['count'], state['database']['loop'] is asyncio.get_running_loop()]).encode()})
