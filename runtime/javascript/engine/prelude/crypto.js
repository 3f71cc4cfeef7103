// crypto.getRandomValues and randomUUID: from the node's generator, fresh in every call.

const integers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array];
const hex = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

class Crypto {
  getRandomValues(view) {
    if (!integers.some((t) => view instanceof t)) throw new DOMException('crypto.getRandomValues: not an array of integers', 'TypeMismatchError');
    if (view.byteLength > 65536) throw new DOMException(`crypto.getRandomValues: ${view.byteLength} bytes; the limit is 65536`, 'QuotaExceededError');
    native.random(view);
    return view;
  }
  randomUUID() {
    const b = new Uint8Array(16);
    native.random(b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    return hex[b[0]] + hex[b[1]] + hex[b[2]] + hex[b[3]] + '-' + hex[b[4]] + hex[b[5]] + '-' + hex[b[6]] + hex[b[7]] + '-' + hex[b[8]] + hex[b[9]] + '-' + hex[b[10]] + hex[b[11]] + hex[b[12]] + hex[b[13]] + hex[b[14]] + hex[b[15]];
  }
}

native.define({ Crypto });
native.define({ crypto: new Crypto() });
