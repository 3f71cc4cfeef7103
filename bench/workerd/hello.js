// The guide's first function as a worker.
export default {
  fetch(request) {
    const name = new URL(request.url).searchParams.get("name") || "World";
    return Response.json({ message: `Hello, ${name}!` });
  },
};
