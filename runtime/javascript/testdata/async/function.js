const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const paths = {
  '/order': async () => {
    const order = [];
    await new Promise((done) => {
      setTimeout(() => { order.push('t20'); done(); }, 20);
      setTimeout((x) => order.push(x), 10, 't10');
      setImmediate(() => order.push('immediate'));
      queueMicrotask(() => order.push('micro'));
      process.nextTick(() => order.push('tick'));
      Promise.resolve().then(() => order.push('promise'));
      const no = setTimeout(() => order.push('never'), 5);
      clearTimeout(no);
      order.push('sync');
    });
    return order;
  },
  '/interval': async () => {
    let n = 0;
    await new Promise((done) => { const i = setInterval(() => { if (++n === 3) { clearInterval(i); done(); } }, 5); });
    return n;
  },
  '/many': async () => (await Promise.all(Array.from({ length: 500 }, (_, i) => sleep(1 + (i % 7)).then(() => 1)))).length,
  '/sleep': async () => { const t = performance.now(); await sleep(50); const d = performance.now() - t; return d >= 49 && d < 5000; },
  '/never': () => new Promise(() => {}),
  '/unhandled': () => { Promise.reject(new Error('forgotten')); return 'sent'; },
  '/handled-later': async () => { const p = Promise.reject(new Error('caught')); await null; p.catch(() => {}); return 'sent'; },
  '/throwing-timer': async () => { setTimeout(() => { throw new Error('in timer'); }, 1); await sleep(5); return 'sent'; },
  '/microtask-throws': async () => { queueMicrotask(() => { throw new Error('in microtask'); }); await null; return 'sent'; },
  '/after': () => { Promise.resolve().then(() => console.log('after')); return 'sent'; },
  '/refresh': async () => { const t = setTimeout(() => {}, 1); return [typeof t.ref, t.hasRef(), Number(t) > 0]; },
  '/bad-callback': () => setTimeout('code', 1),
};
export default (req) => paths[req.path]();
