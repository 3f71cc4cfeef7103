import './nope.js';
export default () => 1;
