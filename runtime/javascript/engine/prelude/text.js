// TextEncoder and TextDecoder: utf-8, utf-16le and latin1 (windows-1252, as the Encoding Standard has it).

const { utf8Encode, utf8Decode, bytes, concat, define } = native;

class TextEncoder {
  get encoding() { return 'utf-8'; }
  encode(text = '') { return utf8Encode(`${text}`); }
  encodeInto(text, target) {
    if (!(target instanceof Uint8Array)) throw new TypeError('TextEncoder.encodeInto: the target must be a Uint8Array');
    let read = 0, written = 0;
    for (const c of `${text}`) {
      const code = c.codePointAt(0);
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (written + size > target.length) break;
      if (size === 1) target[written] = code;
      else target.set(utf8Encode(c), written);
      written += size;
      read += c.length;
    }
    return { read, written };
  }
}

const labels = new Map();
for (const [name, list] of Object.entries({
  'utf-8': 'unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8',
  'utf-16le': 'csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le',
  'windows-1252': 'ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252',
})) for (const label of list.split(' ')) labels.set(label, name);

const C1 = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

function chars(codes) {
  let text = '';
  for (let i = 0; i < codes.length; i += 4096) text += String.fromCharCode.apply(null, codes.subarray(i, i + 4096));
  return text;
}

function windows1252(input) {
  return chars(input).replace(/[\x80-\x9f]/g, (c) => C1[c.charCodeAt(0) - 0x80]);
}

// How many bytes at the end begin a character of UTF-8 that more bytes may complete.
function unfinished(input) {
  for (let back = 1; back <= 3 && back <= input.length; back++) {
    const c = input[input.length - back];
    if (c < 0x80) return 0;
    if (c < 0xc0) continue;
    const size = c >= 0xf5 ? 0 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    if (size <= back) return 0;
    const second = input[input.length - back + 1];
    if (back > 1 && ((c === 0xe0 && second < 0xa0) || (c === 0xed && second > 0x9f) || (c === 0xf0 && second < 0x90) || (c === 0xf4 && second > 0x8f))) return 0;
    return back;
  }
  return 0;
}

class TextDecoder {
  #encoding; #fatal; #ignoreBOM; #rest = null; #begun = false;
  constructor(label = 'utf-8', options = {}) {
    const encoding = labels.get(`${label}`.trim().toLowerCase());
    if (encoding === undefined) throw new RangeError(`TextDecoder: the encoding "${label}" is not supported; utf-8, utf-16le and latin1 are`);
    this.#encoding = encoding;
    this.#fatal = Boolean(options?.fatal);
    this.#ignoreBOM = Boolean(options?.ignoreBOM);
  }
  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }
  decode(source, options) {
    let input = source === undefined ? new Uint8Array(0) : bytes(source);
    const stream = Boolean(options?.stream);
    if (this.#rest !== null) input = concat([this.#rest, input]);
    this.#rest = null;
    const bad = () => {
      this.#begun = false;
      return Object.assign(new TypeError(`the bytes are not ${this.#encoding}`), { code: 'ERR_ENCODING_INVALID_ENCODED_DATA' });
    };
    let text;
    if (this.#encoding === 'windows-1252') {
      text = windows1252(input);
    } else if (this.#encoding === 'utf-8') {
      const cut = stream ? unfinished(input) : 0;
      if (cut > 0) {
        this.#rest = input.slice(input.length - cut);
        input = input.subarray(0, input.length - cut);
      }
      text = utf8Decode(input, this.#fatal);
      if (text === null) throw bad();
    } else {
      let whole = input.length & ~1;
      if (stream && whole >= 2 && (input[whole - 1] & 0xfc) === 0xd8) whole -= 2;
      if (stream) this.#rest = whole < input.length ? input.slice(whole) : null;
      const odd = !stream && whole < input.length;
      text = chars(new Uint16Array(input.slice(0, whole).buffer));
      if (this.#fatal && (odd || !text.isWellFormed())) throw bad();
      text = text.toWellFormed() + (odd ? '\ufffd' : '');
    }
    if (!this.#begun && text !== '') {
      if (!this.#ignoreBOM && this.#encoding !== 'windows-1252' && text[0] === '\ufeff') text = text.slice(1);
      this.#begun = true;
    }
    if (!stream) this.#begun = false;
    return text;
  }
}

define({ TextEncoder, TextDecoder });
