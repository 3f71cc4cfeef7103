def handler(req, context=None):
    print(f"Request method: {req.get('method')}")
    print(f"Request path: {req.get('path')}")
    print(f"Request query: {req.get('query')}")
    print(f"Request body: {req.get('body')}")
    print(f"Request headers: {req.get('headers')}")

    if context:
        print(f"Function ID: {context.get('function_id')}")
        print(f"Execution node: {context.get('node_id')}")
        print(f"Aleph account: {context.get('account')}")

    return {"received": True}
