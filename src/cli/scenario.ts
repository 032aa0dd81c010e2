/** Reads a scenario as the command line names it: manifests from a file or a folder, who asks, and what for. */
import type { CliHost } from "../platform.ts";
import type { Scenario } from "../digest.ts";

export interface ScenarioOptions {
  readonly filename?: string;
  readonly from: string;
  readonly to: string;
}

const MANIFEST = /\.(?:ya?ml|json)$/;

/** Throws what is wrong with the path, the pod's name or the URL. Namespaces of a folder go first: others need them. */
export const readScenario = async (host: CliHost, { filename, from, to }: ScenarioOptions): Promise<Scenario> => {
  const path = filename ?? host.packageFile("examples/first-run");
  const files = await readManifests(host, path);
  const slash = from.indexOf("/");
  return {
    files,
    from: slash < 0 ? { namespace: "default", pod: from } : { namespace: from.slice(0, slash), pod: from.slice(slash + 1) },
    url: to,
  };
};

const readManifests = async (host: CliHost, path: string): Promise<{ name: string; text: string }[]> => {
  const decoder = new TextDecoder();
  let names: string[];
  try {
    names = (await host.readDirectory(path)).filter((name) => MANIFEST.test(name)).map((name) => `${path}/${name}`);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") throw new Error(`the path "${path}" does not exist`);
    if ((error as { code?: string }).code !== "ENOTDIR") throw error;
    names = [path];
  }
  if (names.length === 0) {
    throw new Error(`error reading [${path}]: recognized file extensions are [.json .yaml .yml]`);
  }
  return Promise.all(names.map(async (name) => ({ name, text: decoder.decode(await host.readFile(name)) })));
};
