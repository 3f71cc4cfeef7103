// How the prelude's classes become globals.

// Defines globals as the platform has them: writable, configurable, not enumerable; classes with their toStringTag.
native.define = (values) => {
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: false });
    if (typeof value === 'function' && value.prototype && !Object.hasOwn(value.prototype, Symbol.toStringTag))
      Object.defineProperty(value.prototype, Symbol.toStringTag, { value: name, configurable: true });
  }
};

native.isBytes = (v) => v instanceof ArrayBuffer || ArrayBuffer.isView(v);

// A view of the bytes of an ArrayBuffer or a view.
native.bytes = (v) => (v instanceof Uint8Array ? v : ArrayBuffer.isView(v) ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v));

native.concat = (parts) => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.byteLength, 0));
  let at = 0;
  for (const p of parts) {
    all.set(p, at);
    at += p.byteLength;
  }
  return all;
};
