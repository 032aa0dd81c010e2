/** Applets that show bytes and sum them up: base64, od, hexdump, xxd, strings, checksums. */
import { md5, sha1 } from "@noble/hashes/legacy.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { toBytes } from "../os/bytes.ts";
import type { Main, Process } from "../os/process.ts";
import { applet, eachInput, getopt, linesOf } from "./common.ts";

const base64 = applet("[-d] [-w COL] [FILE]", async (process, args) => {
  const options = getopt(args, "dw:i", { decode: "d", wrap: "w" });
  return eachInput(process, options.rest.slice(0, 1), async (fd) => {
    const text = await process.readAll(fd);
    if (options.has("d")) {
      const clean = text.replace(/\s/g, "");
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(clean)) {
        await process.complain("truncated input");
        return 1;
      }
      await process.write(1, atob(clean));
      return 0;
    }
    const width = Number(options.get("w") ?? 76);
    const encoded = btoa(text);
    if (encoded === "") return 0;
    await process.print(width === 0 ? encoded : encoded.replace(new RegExp(`.{1,${width}}`, "g"), "$&\n"));
    return 0;
  });
});

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => (byte + 256).toString(16).slice(1)).join("");

const digest = (hash: (data: Uint8Array) => Uint8Array): Main => applet("[-c[sw]] [FILE]...", async (process, args) => {
  const options = getopt(args, "cswb", { check: "c", status: "s" });
  const sum = async (name: string): Promise<string | undefined> => {
    let out: string | undefined;
    await eachInput(process, [name], async (fd) => {
      out = hex(hash(toBytes(await process.readAll(fd))));
    });
    return out;
  };
  let status = 0;
  if (options.has("c")) {
    let failed = 0;
    await eachInput(process, options.rest, async (fd) => {
      for (const line of linesOf(await process.readAll(fd))) {
        const match = /^([0-9a-f]+) [ *](.*)$/.exec(line);
        if (match === null) continue;
        const ok = (await sum(match[2]!)) === match[1];
        if (!options.has("s")) await process.print(`${match[2]}: ${ok ? "OK" : "FAILED"}\n`);
        if (!ok) failed++;
      }
    });
    if (failed > 0) {
      if (!options.has("s")) await process.complain(`WARNING: ${failed} of ${failed} computed checksums did NOT match`);
      status = 1;
    }
    return status;
  }
  for (const name of options.rest.length === 0 ? ["-"] : options.rest) {
    const value = await sum(name);
    if (value === undefined) status = 1;
    else await process.print(`${value}  ${name}\n`);
  }
  return status;
});

const strings = applet("[-fo] [-n LEN] [FILE]...", async (process, args) => {
  const options = getopt(args, "afon:");
  const least = Number(options.get("n") ?? 4);
  return eachInput(process, options.rest, async (fd) => {
    for (const match of (await process.readAll(fd)).matchAll(/[\t -~]+/g)) if (match[0].length >= least) await process.print(`${match[0]}\n`);
  }, false);
});

const od = applet("[-abcdfhilovxs] [-t TYPE] [-A RADIX] [-N SIZE] [-j OFFSET] [FILE]...", async (process, args) => {
  const options = getopt(args, "abcdfhilovxst:A:N:j:w::");
  let type = options.get("t") ?? "o2";
  for (const [letter, is] of [["c", "c"], ["b", "o1"], ["x", "x2"], ["h", "x2"], ["d", "u2"], ["o", "o2"], ["a", "a"]] as const) if (options.has(letter)) type = is;
  const radix = options.get("A") ?? "o";
  let data = "";
  await eachInput(process, options.rest, async (fd) => {
    data += await process.readAll(fd);
  }, false);
  data = data.slice(Number(options.get("j") ?? 0));
  if (options.has("N")) data = data.slice(0, Number(options.get("N")));
  const address = (at: number): string => (radix === "n" ? "" : at.toString(radix === "x" ? 16 : radix === "d" ? 10 : 8).padStart(radix === "x" ? 6 : 7, "0"));
  const size = /[0-9]/.test(type) ? Number(/[0-9]+/.exec(type)![0]) : type.startsWith("c") || type.startsWith("a") ? 1 : 4;
  const bases: Readonly<Record<string, number>> = { x: 16, o: 8, u: 10, d: 10 };
  let previous: string | undefined, starred = false;
  for (let at = 0; at < data.length; at += 16) {
    const row = data.slice(at, at + 16);
    if (row === previous && !options.has("v") && row.length === 16) {
      if (!starred) await process.print("*\n");
      starred = true;
      continue;
    }
    previous = row;
    starred = false;
    let out = address(at);
    for (let i = 0; i < row.length; i += size) {
      if (type.startsWith("c")) {
        const c = row[i]!;
        const named: Readonly<Record<string, string>> = { "\0": "\\0", "\x07": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v" };
        out += (named[c] ?? (c >= " " && c <= "~" ? c : c.charCodeAt(0).toString(8).padStart(3, "0"))).padStart(4);
        continue;
      }
      let value = 0n;
      for (let j = Math.min(size, row.length - i) - 1; j >= 0; j--) value = value * 256n + BigInt(row.charCodeAt(i + j));
      const base = bases[type[0]!] ?? 8;
      if (type[0] === "d") value = BigInt.asIntN(size * 8, value);
      const width = base === 16 ? size * 2 : base === 8 ? Math.ceil((size * 8) / 3) : { 1: 3, 2: 5, 4: 10, 8: 20 }[size] ?? 10;
      const text = value.toString(base);
      out += ` ${base === 10 ? text.padStart(type[0] === "d" ? width + 1 : width) : text.padStart(width, "0")}`;
    }
    await process.print(`${out}\n`);
  }
  if (radix !== "n") await process.print(`${address(data.length)}\n`);
  return 0;
});

const hexdump = applet("[-bcdoxCv] [-n LEN] [-s OFS] [FILE]...", async (process, args) => {
  const options = getopt(args, "bcdoxCvn:s:e:f:");
  let data = "";
  const status = await eachInput(process, options.rest, async (fd) => {
    data += await process.readAll(fd);
  }, false);
  const skip = Number(options.get("s") ?? 0);
  data = data.slice(skip, options.has("n") ? skip + Number(options.get("n")) : undefined);
  const canonical = process.name === "hd" || options.has("C");
  let previous: string | undefined, starred = false;
  const width = canonical ? 8 : 7;
  for (let at = 0; at < data.length; at += 16) {
    const row = data.slice(at, at + 16);
    if (row === previous && !options.has("v") && row.length === 16) {
      if (!starred) await process.print("*\n");
      starred = true;
      continue;
    }
    previous = row;
    starred = false;
    let out = (at + skip).toString(16).padStart(width, "0");
    if (canonical) {
      for (let i = 0; i < 16; i++) out += `${i % 8 === 0 ? "  " : " "}${i < row.length ? row.charCodeAt(i).toString(16).padStart(2, "0") : "  "}`;
      out += `  |${row.replace(/[^ -~]/g, ".")}|`;
    } else {
      for (let i = 0; i < row.length; i += 2) out += ` ${((row.charCodeAt(i + 1) || 0) * 256 + row.charCodeAt(i)).toString(16).padStart(4, "0")}`;
      out = out.padEnd(width + 40);
    }
    await process.print(`${out}\n`);
  }
  if (data.length > 0) await process.print(`${(data.length + skip).toString(16).padStart(width, "0")}\n`);
  return status;
});

const xxd = applet("[-ipr] [FILE]", async (process, args) => {
  const options = getopt(args, "iprl:s:c:g:u");
  return eachInput(process, options.rest.slice(0, 1), async (fd) => {
    const data = await process.readAll(fd);
    if (options.has("r")) {
      const digits = options.has("p") ? data.replace(/\s/g, "") : linesOf(data).map((line) => line.replace(/^[0-9a-f]+: /i, "").slice(0, 40).replace(/\s/g, "")).join("");
      let out = "";
      for (let i = 0; i + 1 < digits.length; i += 2) out += String.fromCharCode(Number.parseInt(digits.slice(i, i + 2), 16));
      await process.write(1, out);
      return;
    }
    const kept = data.slice(0, options.has("l") ? Number(options.get("l")) : undefined);
    if (options.has("p")) {
      await process.print(hex(toBytes(kept)).replace(/.{1,60}/g, "$&\n"));
      return;
    }
    for (let at = 0; at < kept.length; at += 16) {
      const row = kept.slice(at, at + 16);
      const cells = hex(toBytes(row)).replace(/.{1,4}/g, "$& ").padEnd(40);
      await process.print(`${at.toString(16).padStart(8, "0")}: ${cells} ${row.replace(/[^ -~]/g, ".")}\n`);
    }
  });
});

const cksum = (process: Process, args: readonly string[]): Promise<number> => eachInput(process, args, async (fd, name) => {
  const data = await process.readAll(fd);
  let crc = 0;
  const feed = (byte: number): void => {
    crc ^= byte << 24;
    for (let i = 0; i < 8; i++) crc = (crc & 0x80000000) !== 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  };
  for (let i = 0; i < data.length; i++) feed(data.charCodeAt(i));
  for (let n = data.length; n > 0; n = Math.floor(n / 256)) feed(n & 255);
  await process.print(`${~crc >>> 0} ${data.length}${name === "-" ? "" : ` ${name}`}\n`);
});

export const dumpApplets: Readonly<Record<string, Main>> = {
  base64, strings, od, hexdump, hd: hexdump, xxd, cksum: applet("[FILE]...", cksum),
  md5sum: digest(md5), sha1sum: digest(sha1), sha256sum: digest(sha256), sha512sum: digest(sha512),
};
