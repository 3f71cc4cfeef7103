function setup() {
  throw new RangeError('not ready');
}
setup();
export default () => 1;
