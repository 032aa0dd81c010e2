/** CoreDNS as an image: reads the Corefile named by `-conf`, serves until it is told to stop. */
import { defineImage, type Image, type ProgramContext } from "../cri/program.ts";
import { dispatch } from "../images/program.ts";
import { CorefileError } from "./corefile.ts";
import { serveDns } from "./server.ts";

const VERSION = "1.11.3";
/** Without a Corefile, the server that answers with who asks has no plugins here: it refuses. */
const DEFAULT_COREFILE = ".:53 {\n  errors\n}\n";

async function run(context: ProgramContext): Promise<number> {
  const at = context.argv.indexOf("-conf");
  const path = at < 0 ? "Corefile" : (context.argv[at + 1] ?? "");
  const bytes = context.readFile(path);
  if (bytes === undefined && at >= 0) {
    context.stderr(`open ${path}: no such file or directory\n`);
    return 1;
  }
  try {
    const serving = serveDns({
      corefile: bytes === undefined ? DEFAULT_COREFILE : new TextDecoder().decode(bytes), file: path, net: context.net, clock: context.clock,
      random: context.random, api: context.api, signal: context.signal, readFile: context.readFile, log: (line) => context.stdout(`${line}\n`),
    });
    context.stdout(`CoreDNS-${VERSION}\nlinux/amd64\n`);
    await serving;
    return 0;
  } catch (error) {
    if (!(error instanceof CorefileError)) throw error;
    context.stderr(`${error.message}\n`);
    return 1;
  }
}

export const coredns: Image = defineImage({
  name: `registry.k8s.io/coredns/coredns:v${VERSION}`, entrypoint: ["/coredns"], run: dispatch({ coredns: run }),
});
