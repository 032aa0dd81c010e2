// npm run lock: `npm install --package-lock-only`, and then the entries that npm leaves out of package-lock.json when
// the registry at hand mirrors the packages of some platforms only. Without them `npm ci` refuses the lock file, there
// and everywhere else. They carry no integrity: npm adds it where it can fetch them.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const file = new URL("package-lock.json", root);

const SYSTEMS = { windows: "win32" };
const KNOWN_SYSTEMS = [
  "aix",
  "android",
  "darwin",
  "freebsd",
  "linux",
  "netbsd",
  "openbsd",
  "openharmony",
  "sunos",
  "win32",
];
const PROCESSORS = { 64: "x64" };
const KNOWN_PROCESSORS = ["arm", "arm64", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "x64"];

/** What a platform package's name says about where it runs: `@oxlint/binding-linux-arm64-musl`. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = words.map((word) => SYSTEMS[word] ?? word).find((word) => KNOWN_SYSTEMS.includes(word));
  const cpu = words.map((word) => PROCESSORS[word] ?? word).find((word) => KNOWN_PROCESSORS.includes(word));
  if (os === undefined || cpu === undefined) throw new Error(`${name}: for which platform is it?`);
  const libc = name.endsWith("musl")
    ? ["musl"]
    : name.endsWith("glibc") || name.endsWith("gnu")
      ? ["glibc"]
      : undefined;
  return { cpu: [cpu], ...(libc !== undefined && os === "linux" ? { libc } : {}), optional: true, os: [os] };
}

execFileSync("npm", ["install", "--package-lock-only", "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
const lock = JSON.parse(readFileSync(file, "utf8"));
let added = 0;
for (const { optionalDependencies = {}, license, dev } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`;
    // Ranges belong to optional packages that are no platform's; npm resolves those.
    if (lock.packages[path] !== undefined || !/^\d+\.\d+\.\d+$/.test(version)) continue;
    const { cpu, ...platform } = platformOf(name);
    lock.packages[path] = { version, cpu, ...(dev ? { dev } : {}), license, ...platform };
    added++;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`package-lock.json: ${added} entries added\n`);
