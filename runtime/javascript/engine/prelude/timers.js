// Timers: a heap ordered by time, and one sleep operation for the earliest.

const { sleep, now } = native;
const heap = [];
const armed = new Map();
let nextId = 1, sleepingUntil = Infinity;

const before = (a, b) => a.at < b.at || (a.at === b.at && a.id < b.id);

function push(timer) {
  let i = heap.push(timer) - 1;
  for (let parent; i > 0 && before(timer, heap[(parent = (i - 1) >> 1)]); i = parent) heap[i] = heap[parent];
  heap[i] = timer;
}

function pop() {
  const first = heap[0], last = heap.pop();
  if (heap.length === 0) return first;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
    if (!before(heap[child], last)) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = last;
  return first;
}

// Sleeps until the earliest timer that is still armed.
function arrange() {
  while (heap.length > 0 && !armed.has(heap[0].id)) pop();
  const at = heap.length > 0 ? heap[0].at : Infinity;
  if (at === sleepingUntil) return;
  sleepingUntil = at;
  sleep(at === Infinity ? -1 : Math.max(0, at - now()));
}

class Timeout {
  constructor(callback, delay, args, repeat) {
    this.id = nextId++;
    this.callback = callback;
    this.delay = delay;
    this.args = args;
    this.repeat = repeat;
  }
  ref() { return this; }
  unref() { return this; }
  hasRef() { return true; }
  refresh() {
    if (armed.has(this.id)) {
      armed.delete(this.id);
      this.id = nextId++;
      arm(this);
    }
    return this;
  }
  close() { clear(this); return this; }
  [Symbol.toPrimitive]() { return this.id; }
  [Symbol.dispose]() { clear(this); }
}

function arm(timer) {
  timer.at = now() + timer.delay;
  armed.set(timer.id, timer);
  push({ id: timer.id, at: timer.at, timer });
  arrange();
}

function set(callback, delay, args, repeat, name) {
  if (typeof callback !== 'function') throw new TypeError(`${name}: the callback must be a function`);
  delay = Number(delay);
  if (!(delay >= 1)) delay = name === 'setImmediate' ? 0 : 1;
  if (delay > 2147483647) delay = 1;
  const timer = new Timeout(callback, delay, args, repeat);
  arm(timer);
  return timer;
}

function clear(timer) {
  const id = typeof timer === 'object' && timer !== null ? timer.id : Number(timer);
  if (armed.delete(id)) arrange();
}

// The sleep is over: runs what is due, each callback in a job of its own so that promises settle in between.
native.wake = () => {
  sleepingUntil = Infinity;
  const time = now(), due = [];
  while (heap.length > 0 && (heap[0].at <= time || !armed.has(heap[0].id))) {
    const { id, timer } = pop();
    if (armed.has(id)) due.push(id, timer);
  }
  for (let i = 0; i < due.length; i += 2) native.enqueue(run, due[i], due[i + 1]);
  arrange();
};

function run(id, timer) {
  if (!armed.has(id)) return;
  if (timer.repeat) {
    timer.at = now() + timer.delay;
    push({ id, at: timer.at, timer });
  } else {
    armed.delete(id);
  }
  try {
    timer.callback(...timer.args);
  } catch (error) {
    native.uncaught(error, 'Uncaught exception in a timer');
  }
  arrange();
}

native.pending = () => {
  if (armed.size > 0) return 'a timer is still armed when the program has loaded; start timers in the handler';
};

const globals = {
  setTimeout: (callback, delay, ...args) => set(callback, delay, args, false, 'setTimeout'),
  setInterval: (callback, delay, ...args) => set(callback, delay, args, true, 'setInterval'),
  setImmediate: (callback, ...args) => set(callback, 0, args, false, 'setImmediate'),
  clearTimeout: clear,
  clearInterval: clear,
  clearImmediate: clear,
};
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
}
