const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  const u = new URL('https://user:p%40ss@Exämple.org:8080/a/../b c/?q=1&q=2&x=%20y+z#frag');
  equal('href', u.href, 'https://user:p%40ss@xn--exmple-cua.org:8080/b%20c/?q=1&q=2&x=%20y+z#frag');
  equal('parts', [u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, u.origin],
    ['https:', 'user', 'p%40ss', 'xn--exmple-cua.org:8080', 'xn--exmple-cua.org', '8080', '/b%20c/', '?q=1&q=2&x=%20y+z', '#frag', 'https://xn--exmple-cua.org:8080']);
  equal('params', [u.searchParams.get('q'), u.searchParams.getAll('q'), u.searchParams.get('x'), u.searchParams.get('none')], ['1', ['1', '2'], ' y z', null]);
  u.searchParams.append('ü', '&='); u.searchParams.delete('q');
  equal('params change the URL', u.search, '?x=+y+z&%C3%BC=%26%3D');
  u.search = 'a=b'; equal('the URL changes params', [...u.searchParams], [['a', 'b']]);
  u.port = '443'; u.hash = ''; u.pathname = 'x y'; u.username = ''; u.password = ''; u.hostname = 'example.com';
  equal('setters', u.href, 'https://example.com/x%20y?a=b');
  u.protocol = 'http'; u.host = 'h:1'; u.search = ''; equal('more setters', u.href, 'http://h:1/x%20y');
  u.port = 'x'; equal('ignored', u.port, '1');
  equal('base', new URL('../c?d#e', 'http://h/a/b/').href, 'http://h/a/c?d#e');
  equal('relative to a URL', new URL('//o/p', new URL('https://h')).href, 'https://o/p');
  throws('invalid', () => new URL('nope'), 'TypeError');
  equal('canParse', [URL.canParse('nope'), URL.canParse('a', 'http://h'), URL.parse('nope')], [false, true, null]);
  equal('ip', [new URL('http://0x7f.1/').host, new URL('http://[::1]:80/').host], ['127.0.0.1', '[::1]']);
  equal('opaque', [new URL('data:text/plain,hi').pathname, new URL('mailto:a@b').origin, new URL('file:///a').host], ['text/plain,hi', 'null', '']);
  equal('no host', [new URL('web+demo:/.//not-a-host/').host, new URL('web+demo:/.//not-a-host/').pathname], ['', '//not-a-host/']);
  equal('credentials only', [new URL('http://u@h').username, new URL('http://u@h').password, new URL('http://:p@h').password], ['u', '', 'p']);
  equal('JSON', JSON.stringify({ u: new URL('http://h') }), '{"u":"http://h/"}');
  const p = new URLSearchParams({ b: '2', a: '1' }); p.append('b', '3'); p.sort();
  equal('search params', [p.toString(), p.size, p.has('b', '3'), p.has('c'), [...p.keys()], [...p.values()]], ['a=1&b=2&b=3', 3, true, false, ['a', 'b', 'b'], ['1', '2', '3']]);
  p.set('b', 'x'); p.delete('a', 'no'); equal('set', `${p}`, 'a=1&b=x');
  equal('from', [`${new URLSearchParams('?a=%zz&b')}`, `${new URLSearchParams([['x', 'y']])}`, `${new URLSearchParams(new Map([['m', 'n']]))}`], ['a=%25zz&b=', 'x=y', 'm=n']);
  throws('pairs', () => new URLSearchParams([['x']]), 'TypeError');
  const seen = []; new URLSearchParams('a=1').forEach((v, k) => seen.push(k + v)); equal('forEach', seen, ['a1']);
  return results;
};
