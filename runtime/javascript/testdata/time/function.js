const results = [];
const show = (v) => (typeof v === 'string' ? v : JSON.stringify(v) ?? String(v));
const equal = (what, got, want) => { if (show(got) !== show(want)) results.push(`${what}: got ${show(got)}, want ${show(want)}`); };
const throws = (what, f, want) => { try { f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not throw`); };
const rejects = async (what, f, want) => { try { await f(); } catch (e) { return equal(what, e.name, want); } results.push(`${what}: did not reject`); };

export default async () => {
  const now = Date.now(); equal('Date.now', Math.abs(now - (performance.timeOrigin + performance.now())) < 5000 && now > 1600000000000, true);
  equal('performance', performance.now() >= 0 && performance.now() < 60000, true); const t = performance.now(); equal('forward', performance.now() >= t, true);
  equal('zone', [new Date(0).getTimezoneOffset(), new Date(0).getHours()], [0, 0]);
  const [s, n] = process.hrtime(); equal('hrtime', [typeof process.hrtime.bigint(), s >= 0, n >= 0], ['bigint', true, true]);
  equal('uptime', typeof process.uptime(), 'number');
  return results;
};
