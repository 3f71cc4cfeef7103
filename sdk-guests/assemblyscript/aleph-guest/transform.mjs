// An asc transform: the compiled module exports `aleph_handle`, which serves events with the program's own `handle`.

const ENTRY = "aleph-entry";

export default class {
  afterParse(parser) {
    const entries = parser.sources.filter((source) => source.sourceKind === 1 /* USER_ENTRY */);
    const program = entries.find((source) => source.statements.some(exportsHandle));
    if (!program) {
      throw new Error("no entry file exports a function handle(request: Request): Response");
    }
    parser.parseFile(
      `import "aleph-guest/global";
import { serve } from "aleph-guest/serve";
import { handle } from "./${program.simplePath}";
export function aleph_handle(length: u32): void {
  serve(length, handle);
}
`,
      program.normalizedPath.replace(/[^/]*$/, `${ENTRY}.ts`),
      true,
    );
  }
}

function exportsHandle(statement) {
  if (statement.name?.text === "handle") return (statement.flags & 2) /* EXPORT */ !== 0;
  return statement.members?.some?.((member) => member.exportedName?.text === "handle") ?? false;
}
