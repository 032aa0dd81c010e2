/** busybox: its applets by name, and the program that runs them. */
import type { Main } from "../os/process.ts";
import { sh } from "../sh/main.ts";
import { awkApplets } from "./awk.ts";
import { BANNER } from "./common.ts";
import { compareApplets } from "./compare.ts";
import { dumpApplets } from "./dump.ts";
import { fileApplets } from "./files.ts";
import { grepApplets } from "./grep.ts";
import { listingApplets } from "./listing.ts";
import { netApplets } from "./net.ts";
import { sedApplets } from "./sed.ts";
import { systemApplets } from "./system.ts";
import { archiveApplets } from "./tar.ts";
import { textApplets } from "./text.ts";

const multi: Main = async (process) => {
  const [, first, ...rest] = process.argv;
  if (first === "--list") {
    for (const name of Object.keys(APPLETS).sort()) await process.print(`${name}\n`);
    return 0;
  }
  if (first === undefined || first === "--help") {
    await process.print(`${BANNER}\nBusyBox is copyrighted by many authors between 1998-2015.\nLicensed under GPLv2. See source distribution for detailed\ncopyright notices.\n\n` +
      `Usage: busybox [function [arguments]...]\n   or: busybox --list\n   or: function [arguments]...\n\nCurrently defined functions:\n\t${Object.keys(APPLETS).sort().join(", ")}\n`);
    return 0;
  }
  const name = first.slice(first.lastIndexOf("/") + 1);
  const main = Object.hasOwn(APPLETS, name) ? APPLETS[name] : undefined;
  if (main === undefined) {
    await process.error(`${first}: applet not found\n`);
    return 127;
  }
  process.argv = [first, ...rest];
  return main(process);
};

export const APPLETS: Readonly<Record<string, Main>> = {
  ...fileApplets, ...listingApplets, ...textApplets, ...dumpApplets, ...compareApplets, ...grepApplets, ...sedApplets, ...archiveApplets, ...awkApplets, ...netApplets, ...systemApplets, sh, ash: sh, busybox: multi,
};
