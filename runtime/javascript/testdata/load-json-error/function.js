const a = JSON.parse("{");
export default () => a;
