export default (req) => {
  if (req.path === '/cycles') { // garbage that only the cycle collector frees, many times the memory
    for (let i = 0; i < 400000; i++) { const a = { data: 'x'.repeat(200) + i }; a.self = a; }
    return 'ok';
  }
  if (req.path === '/churn') {
    let s = 0;
    for (let i = 0; i < 300000; i++) s += [i, i + 1, { i }].length;
    return s;
  }
  if (req.path === '/string') { let s = 'x'; for (;;) s += s; }
  if (req.path === '/caught') { try { const l = []; for (;;) l.push(new Array(1000).fill(1.5)); } catch (e) { return `${e.name}: ${e.message}`; } }
  const list = [];
  for (;;) list.push(new Uint8Array(1 << 20).fill(1));
};
