const atLoad = Math.random();
export default (req) => {
  const values = Array.from({ length: 4 }, () => Math.random());
  return { values, inRange: values.every((v) => v >= 0 && v < 1), atLoad, uuid: crypto.randomUUID(), bytes: [...crypto.getRandomValues(new Uint8Array(8))] };
};
