class Animal { constructor() { this.legs = 4; } }
const circular = { name: 'c' }; circular.self = circular;
const shows = {
  '/levels': () => { console.debug('d'); console.log('l'); console.info('i'); console.warn('w'); console.error('e'); },
  '/format': () => {
    console.log('%s is %d years and %i, %f', 'Bob', 42, 42.9, '1.5', 'extra', { a: 1 });
    console.log('%o %O %j %% %c|', [1], { a: { b: {} } }, { x: 1 }, 'css');
    console.log('100%', 5); console.log('%s', null, undefined); console.log('%s', { a: { b: 1 } }); console.log('%d', '0x10'); console.log('%x', 1);
    console.log(); console.log('a\nb'); console.log(5n, -0, Symbol('q'), true, null, undefined);
  },
  '/objects': () => {
    console.log({ a: 1, 'b-c': 'x', d: [1, 'two', null], e: { f: { g: { h: 1 } } }, [Symbol('s')]: 1 });
    console.log([1, , 3], new Array(3), [[[[1]]]], []);
    console.log(new Map([['a', { b: 1 }]]), new Set([1, 'x']), new Map());
    console.log(new Animal(), Animal, class extends Animal {}, function f() {}, () => {}, async () => {}, function* g() {});
    console.log(circular); console.log(Object.create(null)); console.log(new Date(0), /a/g, new Date(NaN));
    console.log(new Uint8Array([1, 2]), new ArrayBuffer(2), Promise.resolve(5), new Proxy({ p: 1 }, {}));
    console.log({ get a() { return 1; }, set b(v) {} }, Object(1), Object('s'), { u: undefined, f() {} }, "it's", ["it's"]);
    console.log(new URL('http://a/?b=c').searchParams, new Headers({ A: 'b' }), [new WeakMap()]);
    console.log('x'.repeat(3), ['x'.repeat(80), 'y'.repeat(80)], Array.from({ length: 120 }, (_, i) => i).length);
  },
  '/errors': () => {
    const e = new TypeError('bad', { cause: new Error('why') }); e.code = 'E1';
    console.error('failed:', e);
    class MyError extends Error {}
    console.log([new MyError('mine')].length, `${new MyError('mine')}`);
  },
  '/others': () => {
    console.assert(true, 'no'); console.assert(false, 'yes %d', 1); console.assert(false);
    console.count(); console.count(); console.count('x'); console.countReset(); console.count();
    console.group('G'); console.log('in\ntwo'); console.group(); console.log('deeper'); console.groupEnd(); console.groupEnd(); console.log('out');
    console.dir({ a: { b: { c: { d: 1 } } } }, { depth: 0 }); console.timeEnd('none');
    console.table([{ a: 1, b: 'x' }, { a: 2 }]); console.table(5);
  },
  '/trace': () => { console.trace('here'); console.time('t'); console.timeLog('t', 1); console.timeEnd('t'); },
};
export default (req) => shows[req.path]();
