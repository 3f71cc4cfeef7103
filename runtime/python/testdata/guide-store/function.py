async def handler(req, context):
    aleph = context['aleph']

    # Store data
    store_result = await aleph.store.set({
        'key': 'user-data',
        'value': {'name': 'Alice', 'visits': 5}
    })

    # Retrieve data
    get_data = await aleph.store.get('user-data')

    return {'stored': store_result, 'retrieved': get_data}
