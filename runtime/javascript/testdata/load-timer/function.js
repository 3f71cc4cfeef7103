setTimeout(() => {}, 10);
export default () => 1;
