export default function(req) {
  const name = req.query.name || 'World';
  return { message: `Hello, ${name}!` };
}
