// The identity of the binary interface: kernel and driver carry the same hash, or refuse each other.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";

/** SHA-256 (hex) of `assembly/abi.ts` and what is in `assembly/abi/`, names included, line ends normalised. */
export function abiHash(root) {
  const assembly = new URL("assembly/", root);
  const folder = new URL("abi/", assembly);
  const names = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(".ts"))
        .sort()
    : [];
  const hash = createHash("sha256");
  const paths = [...(existsSync(new URL("abi.ts", assembly)) ? ["abi.ts"] : []), ...names.map((name) => `abi/${name}`)];
  for (const path of paths) {
    const text = readFileSync(new URL(path, assembly), "utf8").replaceAll("\r\n", "\n");
    hash.update(`${path}\0${text}\0`);
  }
  return hash.digest("hex");
}
