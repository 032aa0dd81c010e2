/** `kubewire`, the command, in Node. What it does is in src/cli. */
import { main } from "../../src/cli/main.ts";
import { nodeHost } from "./host.ts";

process.exitCode = await main(nodeHost(process.argv.slice(2)));
