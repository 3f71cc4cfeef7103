exports.base = 2;
exports.again = () => require('./common.cjs');
