const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  const t = new EventTarget(), seen = [];
  t.addEventListener('x', (e) => seen.push(['a', e.type, e.target === t, e.detail])); t.addEventListener('x', () => seen.push('once'), { once: true });
  const handler = { handleEvent() { seen.push('object'); } }; t.addEventListener('x', handler); t.addEventListener('x', handler);
  t.dispatchEvent(new CustomEvent('x', { detail: 5 })); t.removeEventListener('x', handler); t.dispatchEvent(new Event('x'));
  equal('events', seen, [['a', 'x', true, 5], 'once', 'object', ['a', 'x', true, null]]);
  const e = new Event('y', { cancelable: true }); t.addEventListener('y', (e) => { e.preventDefault(); e.stopImmediatePropagation(); }); t.addEventListener('y', () => seen.push('not'));
  equal('prevented', [t.dispatchEvent(e), e.defaultPrevented, seen.includes('not')], [false, true, false]);
  const c = new AbortController(); let aborted = 0; c.signal.addEventListener('abort', () => aborted++); c.signal.onabort = () => aborted++;
  const any = AbortSignal.any([c.signal, new AbortController().signal]); c.abort(); c.abort();
  equal('abort', [c.signal.aborted, aborted, c.signal.reason.name, any.aborted, any.reason === c.signal.reason], [true, 2, 'AbortError', true, true]);
  throws('throwIfAborted', () => c.signal.throwIfAborted(), 'AbortError'); equal('reason', AbortSignal.abort(5).reason, 5);
  const timeout = AbortSignal.timeout(5); await new Promise((r) => timeout.addEventListener('abort', r)); equal('timeout', timeout.reason.name, 'TimeoutError');
  throws('constructor', () => new AbortSignal(), 'TypeError');
  const d = new DOMException('m', 'AbortError'); equal('DOMException', [d.name, d.message, d.code, d instanceof Error, `${d}`], ['AbortError', 'm', 20, true, 'AbortError: m']);
  return results;
};
