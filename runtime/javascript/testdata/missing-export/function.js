import { b } from './a.js';
export default () => b;
