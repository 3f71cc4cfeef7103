import { double } from './lib/math.js';
import data from './data.json';
import * as all from './lib/common';
import named, { half } from './lib/common.cjs';
export default async (req) => {
  const late = await import(`./lib/${req.query.file ?? 'late.mjs'}`);
  return [double(21), data.name, named.half(10), half(4), Object.keys(all).sort(), late.default, import.meta.url, late.count()];
};
