eval("1 +");
export default () => 1;
