export default function(req, context) {
  console.log('Request method:', req.method);
  console.log('Request path:', req.path);
  console.log('Request query:', req.query);
  console.log('Request body:', req.body);
  console.log('Request headers:', req.headers);

  console.log('Function ID:', context.functionId);
  console.log('Execution node:', context.nodeId);
  console.log('Aleph account:', context.account);

  return { received: true };
}
