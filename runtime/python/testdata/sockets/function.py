import asyncio, http.client, select, smtplib, socket, ssl, urllib.request


def attempt(function, *args, **kwargs):
    try:
        return str(function(*args, **kwargs))
    except Exception as error:
        return f'{type(error).__name__}: {error}'


def handler(req):
    match req.path:
        case '/protocol':
            sock = socket.create_connection(('example.test', 6379))
            return attempt(sock.sendall, b'*1\r\n$4\r\nPING\r\n')
        case '/first':
            return attempt(smtplib.SMTP, 'example.test')
        case '/listen':
            sock = socket.socket()
            return [attempt(sock.bind, ('', 80)), attempt(sock.listen)]
        case '/udp':
            return attempt(socket.socket(type=socket.SOCK_DGRAM).sendto, b'x', ('example.test', 53))
        case '/unix':
            return attempt(socket.socket(socket.AF_UNIX).connect, ('/tmp/socket', 0))
        case '/proxy':
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({'http': 'http://proxy.test:3128'}))
            return attempt(opener.open, 'http://example.test/')
        case '/unverified':
            return attempt(urllib.request.urlopen, 'https://example.test/', context=ssl._create_unverified_context())
        case '/client-certificate':
            return attempt(ssl.create_default_context().load_cert_chain, 'a.pem')
        case '/resolve':
            return [socket.gethostbyname('example.test'), socket.getaddrinfo('example.test', 443, type=socket.SOCK_STREAM)[0][4]]
        case '/context':
            context = ssl.create_default_context()
            return [context.verify_mode.name, context.check_hostname, ssl.PROTOCOL_TLS_CLIENT.name, issubclass(ssl.SSLError, OSError)]
        case '/pair':
            return [socket.inet_aton('1.2.3.4').hex(), socket.inet_ntoa(b'\x01\x02\x03\x04'), socket.htons(1), socket.inet_pton(socket.AF_INET6, '::1').hex()]
