const value = await Promise.resolve(7);
let calls = 0;
export default () => [value, ++calls];
