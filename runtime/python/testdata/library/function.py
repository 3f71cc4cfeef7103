import base64, bz2, csv, dataclasses, datetime, decimal, difflib, email.message, fractions, gzip, hashlib, hmac, html, io, itertools, json, lzma
import sqlite3, statistics, string, struct, textwrap, typing, unicodedata, urllib.parse, xml.etree.ElementTree as ElementTree, zipfile, zlib, zoneinfo


def handler(req):
    data = b'hello' * 100
    match req.path:
        case '/compress':
            return [m.decompress(m.compress(data)) == data for m in (zlib, gzip, bz2, lzma)]
        case '/hash':
            return [hashlib.new(n, b'x').hexdigest()[:8] for n in ('md5', 'sha1', 'sha256', 'sha512', 'sha3_256', 'blake2b')] + [
                hashlib.pbkdf2_hmac('sha256', b'p', b's', 10).hex()[:8], hashlib.scrypt(b'p', salt=b's', n=16, r=1, p=1).hex()[:8], hmac.new(b'k', b'm', 'sha256').hexdigest()[:8]]
        case '/sqlite':
            connection = sqlite3.connect(':memory:' if req.query.get('m') else '/tmp/data.db')
            with connection:
                connection.execute('create table t (a, b)')
                connection.executemany('insert into t values (?, ?)', [(i, str(i)) for i in range(10)])
            return connection.execute('select sum(a), max(b) from t').fetchone().__class__ and list(connection.execute('select sum(a), max(b) from t').fetchone())
        case '/zone':
            return datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris')).isoformat()
        case '/xml':
            return ElementTree.fromstring('<a><b c="d">é</b></a>').find('b').text
        case '/decimal':
            return [str(decimal.Decimal('0.1') + decimal.Decimal('0.2')), str(fractions.Fraction(1, 3) * 3)]
        case '/zip':
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
                archive.writestr('a.txt', data)
            return zipfile.ZipFile(buffer).read('a.txt') == data
