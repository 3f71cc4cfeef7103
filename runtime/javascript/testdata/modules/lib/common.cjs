const { base } = require('./base.cjs');
exports.half = (x) => x / base;
