export default async function (req) {
  await new Promise((resolve) => setTimeout(resolve, Number(req.query.sleep)));
  return { message: 'Hello, World!' };
}
