// Greets: GET /?name=Alice answers "Hello, Alice!". The variable GREETING says how.
import { env, Request, Response } from "aleph-guest";

export function handle(request: Request): Response {
  const name = request.param("name");
  const greeting = env("GREETING");
  return Response.text(`${greeting ? greeting : "Hello"}, ${!name ? "World" : name}!\n`);
}
