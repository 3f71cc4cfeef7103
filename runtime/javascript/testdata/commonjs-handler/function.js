exports.handler = async (req) => ({ statusCode: 200, body: 'lambda' });
