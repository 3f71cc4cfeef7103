with ({ a: 5 }) { var b = a; }
module.exports = () => b;
