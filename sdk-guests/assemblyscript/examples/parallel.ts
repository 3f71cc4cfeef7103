// Fetches two addresses at the same time and streams a line about each as soon as it has answered:
// GET /?url=https://a.example/&url=https://b.example/
import { Answer, Operation, Request, Response, fetch, first } from "aleph-guest";

function line(url: string, fetched: Operation<Answer>): string {
  const error = fetched.error;
  if (error) return `${url}: ${error.name}\n`;
  const answer = fetched.value;
  return `${url}: ${answer.status}, ${answer.bytes.length} bytes\n`;
}

export function handle(request: Request): Response {
  const urls = request.query.getAll("url");
  if (urls.length < 2) return Response.text("give two parameters: url=…&url=…\n", 400);
  const fetches = [fetch(urls[0]), fetch(urls[1])];
  const response = Response.text("");
  for (let done = first(fetches); done; done = first(fetches)) {
    response.write(line(urls[fetches.indexOf(done)], done)).flush();
  }
  return response;
}
