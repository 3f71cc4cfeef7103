export default { greeting: 'hi', handler(req) { return this.greeting; } };
