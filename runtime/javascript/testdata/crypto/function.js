const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  const a = crypto.getRandomValues(new Uint32Array(8)), b = crypto.getRandomValues(new Uint32Array(8));
  equal('differ', `${a}` !== `${b}`, true); equal('uuid', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()), true);
  throws('too many', () => crypto.getRandomValues(new Uint8Array(65537)), 'QuotaExceededError'); throws('floats', () => crypto.getRandomValues(new Float32Array(1)), 'TypeMismatchError');
  const part = new Uint8Array(16); crypto.getRandomValues(part.subarray(4, 8)); equal('only the view', [...part.subarray(0, 4), ...part.subarray(8)].every((x) => x === 0), true);
  return results;
};
