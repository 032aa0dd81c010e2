// npm run licenses: fails when a package of package-lock.json is under terms that scripts/lib/licenses.mjs does not allow.
import { readFileSync } from "node:fs";
import { refused } from "./lib/licenses.mjs";

const lock = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8"));
const found = refused(lock);
for (const line of found) process.stderr.write(`license not allowed: ${line}\n`);
if (found.length > 0) process.exitCode = 1;
