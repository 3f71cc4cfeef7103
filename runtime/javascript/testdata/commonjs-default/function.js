exports.default = () => 'default';
