import functools


async def answer(greeting, req):
    return f'{greeting} {req.path}'


main = functools.partial(answer, 'hi')
