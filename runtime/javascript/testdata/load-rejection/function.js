await Promise.reject(new Error("no luck"));
export default () => 1;
