// The guide's first function on Node.js's own http server. Usage: node hello.mjs PORT
import { createServer } from "node:http";

createServer((request, response) => {
  const name = new URL(request.url, "http://localhost").searchParams.get("name") || "World";
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ message: `Hello, ${name}!` }));
}).listen(Number(process.argv[2]), "127.0.0.1");
