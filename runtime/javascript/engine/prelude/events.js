// Event, EventTarget, CustomEvent, AbortController and AbortSignal.

const { define } = native;
let dispatch;

class Event {
  #type; #bubbles; #cancelable; #composed; #target = null; #current = null; #prevented = false; #stopped = false; #phase = 0;
  #time = performance.now();
  static NONE = 0;
  static CAPTURING_PHASE = 1;
  static AT_TARGET = 2;
  static BUBBLING_PHASE = 3;
  constructor(type, options) {
    if (arguments.length === 0) throw new TypeError('Event: the type is missing');
    this.#type = `${type}`;
    this.#bubbles = Boolean(options?.bubbles);
    this.#cancelable = Boolean(options?.cancelable);
    this.#composed = Boolean(options?.composed);
  }
  static {
    dispatch = (event, target, listeners) => {
      event.#target = event.#current = target;
      event.#phase = Event.AT_TARGET;
      event.#stopped = false;
      for (const listener of listeners(event.#type)) {
        if (listener.removed) continue;
        if (listener.once) listener.remove();
        try {
          if (typeof listener.callback === 'function') listener.callback.call(target, event);
          else listener.callback.handleEvent?.(event);
        } catch (error) {
          native.uncaught(error, 'Uncaught exception in an event listener');
        }
        if (event.#stopped) break;
      }
      event.#phase = Event.NONE;
      event.#current = null;
      return !event.#prevented;
    };
  }
  get type() { return this.#type; }
  get bubbles() { return this.#bubbles; }
  get cancelable() { return this.#cancelable; }
  get composed() { return this.#composed; }
  get target() { return this.#target; }
  get srcElement() { return this.#target; }
  get currentTarget() { return this.#current; }
  get defaultPrevented() { return this.#prevented; }
  get returnValue() { return !this.#prevented; }
  get eventPhase() { return this.#phase; }
  get timeStamp() { return this.#time; }
  get isTrusted() { return false; }
  composedPath() { return this.#current === null ? [] : [this.#current]; }
  preventDefault() { if (this.#cancelable) this.#prevented = true; }
  stopPropagation() {}
  stopImmediatePropagation() { this.#stopped = true; }
}

class CustomEvent extends Event {
  #detail;
  constructor(type, options) {
    super(type, options);
    this.#detail = options?.detail ?? null;
  }
  get detail() { return this.#detail; }
}

class EventTarget {
  #listeners = new Map();
  addEventListener(type, callback, options) {
    if (callback === null || callback === undefined) return;
    if (typeof callback !== 'function' && typeof callback !== 'object') throw new TypeError('addEventListener: the listener must be a function or an object');
    const capture = typeof options === 'boolean' ? options : Boolean(options?.capture);
    const signal = options?.signal;
    if (signal?.aborted) return;
    type = `${type}`;
    const list = this.#listeners.get(type) ?? [];
    if (list.some((l) => l.callback === callback && l.capture === capture)) return;
    const remove = () => this.removeEventListener(type, callback, capture);
    this.#listeners.set(type, [...list, { callback, capture, once: Boolean(options?.once), removed: false, remove }]);
    signal?.addEventListener('abort', remove, { once: true });
  }
  removeEventListener(type, callback, options) {
    const capture = typeof options === 'boolean' ? options : Boolean(options?.capture);
    const list = this.#listeners.get(`${type}`) ?? [];
    this.#listeners.set(`${type}`, list.filter((l) => !(l.callback === callback && l.capture === capture && (l.removed = true))));
  }
  dispatchEvent(event) {
    if (!(event instanceof Event)) throw new TypeError('dispatchEvent: not an Event');
    return dispatch(event, this, (type) => {
      const handler = this[`on${type}`];
      const list = this.#listeners.get(type) ?? [];
      return typeof handler === 'function' ? [{ callback: handler }, ...list] : list;
    });
  }
}

const token = Symbol();
let abort;

class AbortSignal extends EventTarget {
  #aborted = false; #reason; #dependents = new Set();
  onabort = null;
  constructor(key) {
    if (key !== token) throw new TypeError('Illegal constructor');
    super();
  }
  static {
    abort = (signal, reason = new DOMException('This operation was aborted', 'AbortError')) => {
      if (signal.#aborted) return;
      signal.#aborted = true;
      signal.#reason = reason;
      const dependents = [...signal.#dependents];
      signal.#dependents.clear();
      signal.dispatchEvent(new Event('abort'));
      for (const d of dependents) abort(d, reason);
    };
  }
  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }
  throwIfAborted() { if (this.#aborted) throw this.#reason; }
  static abort(reason) {
    const signal = new AbortSignal(token);
    abort(signal, reason);
    return signal;
  }
  static timeout(ms) {
    const signal = new AbortSignal(token);
    setTimeout(() => abort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError')), ms);
    return signal;
  }
  static any(signals) {
    const signal = new AbortSignal(token);
    const list = [...signals];
    for (const s of list) if (!(s instanceof AbortSignal)) throw new TypeError('AbortSignal.any: not an AbortSignal');
    const done = list.find((s) => s.#aborted);
    if (done) abort(signal, done.#reason);
    else for (const s of list) s.#dependents.add(signal);
    return signal;
  }
}
Object.defineProperty(AbortSignal.prototype, 'onabort', { value: null, writable: true, configurable: true });

class AbortController {
  #signal = new AbortSignal(token);
  get signal() { return this.#signal; }
  abort(reason) { abort(this.#signal, reason); }
}

define({ Event, CustomEvent, EventTarget, AbortSignal, AbortController });
