// Names and values: headers, parameters, variables.

/** A name and a value. */
export class Pair {
  constructor(public name: string, public value: string) {}
}

/** Names and values in their order; a name may come several times. */
export class Pairs {
  constructor(public list: Pair[] = []) {}

  /** The first value of that name; null if there is none. */
  get(name: string): string | null {
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) return this.list[i].value;
    }
    return null;
  }

  /** All values of that name. */
  getAll(name: string): string[] {
    const values: string[] = [];
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) values.push(this.list[i].value);
    }
    return values;
  }

  has(name: string): bool {
    return this.get(name) !== null;
  }

  append(name: string, value: string): void {
    this.list.push(new Pair(name, value));
  }

  delete(name: string): void {
    const kept: Pair[] = [];
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name != name) kept.push(this.list[i]);
    }
    this.list = kept;
  }

  /** Replaces all values of that name by one. */
  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }
}

/** Headers: names are in lower case, however they are given. */
export class Headers extends Pairs {
  get(name: string): string | null {
    return super.get(lower(name));
  }
  getAll(name: string): string[] {
    return super.getAll(lower(name));
  }
  append(name: string, value: string): void {
    super.append(lower(name), value);
  }
  delete(name: string): void {
    super.delete(lower(name));
  }
}

/** A header's name in lower case. `toLowerCase` would bring all of Unicode's tables. */
function lower(name: string): string {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    if (c < 65 || c > 90) continue;
    const copy = name.substring(0, i) + String.fromCharCode(c | 0x20) + name.substring(i + 1);
    return lower(copy);
  }
  return name;
}

function digit(c: i32): i32 {
  if (c >= 48 && c <= 57) return c - 48;
  const lower = c | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Decodes %XX, and + as a space where `plus`; what is no %XX stays. Never fails: what is no UTF-8 then is replaced. */
export function decode(text: string, plus: bool = false): string {
  if (!text.includes("%") && !(plus && text.includes("+"))) return text;
  const from = String.UTF8.encode(text), length = from.byteLength;
  const at = changetype<usize>(from);
  let n: usize = at;
  for (let i = 0; i < length; i++) {
    let c = <i32>load<u8>(at + i);
    if (c == 37 && length - i > 2) {
      const high = digit(load<u8>(at + i, 1)), low = digit(load<u8>(at + i, 2));
      if (high >= 0 && low >= 0) {
        c = (high << 4) | low;
        i += 2;
      }
    } else if (plus && c == 43) {
      c = 32;
    }
    store<u8>(n++, <u8>c);
  }
  return String.UTF8.decodeUnsafe(at, n - at);
}

/** The parameters of a query or of a form's body, decoded. One without "=" has the value "". */
export function parameters(query: string): Pairs {
  const all = new Pairs();
  const parts = query.split("&");
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i];
    if (!part.length) continue;
    const equals = part.indexOf("=");
    if (equals < 0) all.append(decode(part, true), "");
    else all.append(decode(part.substring(0, equals), true), decode(part.substring(equals + 1), true));
  }
  return all;
}
