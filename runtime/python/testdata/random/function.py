import os, random, secrets, tempfile, uuid

own = random.Random()
seeded = random.Random(42)
random.random(), random.gauss(0, 1), own.random(), seeded.random(), uuid.uuid4()


def handler(req):
    match req.path[1:-1]:
        case 'random': return str(random.random())
        case 'gauss': return str(random.gauss(0, 1))
        case 'own': return str(own.random())
        case 'choice': return str(random.choices(range(1000), k=9))
        case 'uuid': return str(uuid.uuid4())
        case 'secrets': return secrets.token_hex()
        case 'urandom': return os.urandom(8).hex()
        case 'system': return str(random.SystemRandom().random())
        case 'tempfile': return tempfile.mktemp()
        case 'seeded': return str(seeded.random())
