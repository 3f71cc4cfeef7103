import { double } from './math.js';
let n = 0;
export const count = () => ++n;
export default double(2);
