export function handler(req) { return req.method; }
