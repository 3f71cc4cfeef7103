def handler(req):
    name = req.get('query', {}).get('name', 'World')
    return {'message': f'Hello, {name}!'}
