import { a } from './lib/a.js';
export default () => a;
