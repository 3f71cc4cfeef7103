globalThis.seen ??= [];
let count = 0;
const cache = new Map();
Array.prototype.marker ??= [];
export default (req) => {
  const before = [globalThis.seen.length, count, cache.size, 'polluted' in {}];
  globalThis.seen.push(1); count++; cache.set(1, 1);
  Object.prototype.polluted = true;
  JSON.extra = 1; globalThis.newGlobal = {}; console.log = null; delete globalThis.URL;
  return before;
};
