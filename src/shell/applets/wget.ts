/** wget (busybox networking/wget.c), over HTTP. */
import { httpRequest, parseHttpUrl, type HttpResponse } from "../../http/client.ts";
import { Errno, reasonOf } from "../os/errno.ts";
import type { Main } from "../os/process.ts";
import { byteString, toBytes, unicode } from "../os/bytes.ts";
import { ResolveError, resolve } from "../../dns/resolver.ts";
import { contextOf } from "../program-context.ts";
import { applet, baseName, getopt, join, UsageFault } from "./common.ts";

const REDIRECTS_MAX = 10;

export const wget: Main = applet("[-cqS] [--spider] [-O FILE] [-o LOGFILE] [--header STR]\n\t[--post-data STR | --post-file FILE] [-Y on/off]\n\t[-P DIR] [-U AGENT] [-T SEC] URL...", async (process, args) => {
  const options = getopt(args, "cqSO:o:P:Y:U:T:t:h:d:f:s", {
    continue: "c", quiet: "q", "server-response": "S", "output-document": "O", "output-file": "o", "directory-prefix": "P", proxy: "Y", "user-agent": "U", timeout: "T", tries: "t", header: "h", "post-data": "d",
    "post-file": "f", spider: "s", "no-check-certificate": "nocheck", passive: "passive", "no-parent": "np",
  });
  if (options.rest.length === 0) throw new UsageFault("");
  const quiet = options.has("q");
  const output = options.get("O");
  const fail = async (text: string): Promise<number> => {
    await process.complain(text);
    return 1;
  };
  for (const given of options.rest) {
    let url = parseHttpUrl(unicode(given));
    if (url === undefined) return fail(`not an http or ftp url: ${given}`);
    const limit = new AbortController();
    const seconds = Number(options.get("T") ?? 900);
    const cancel = seconds > 0 ? process.clock.after(seconds * 1000, () => limit.abort()) : () => {};
    process.onEnd.add(cancel);
    let response: HttpResponse;
    try {
      for (let redirects = 0; ; redirects++) {
        let address: string;
        try {
          address = (await process.live(resolve(contextOf(process), url.host, { signal: limit.signal })))[0]!;
        } catch (error) {
          if (limit.signal.aborted) return await fail("download timed out");
          if (error instanceof ResolveError) return await fail(`bad address '${url.host}'`);
          throw error;
        }
        if (!quiet) await process.error(`Connecting to ${url.host} (${address.includes(":") ? `[${address}]` : address}:${url.port})\n`);
        const body = options.has("d") ? toBytes(options.get("d")!) : options.has("f") ? toBytes(await process.slurp(options.get("f")!)) : undefined;
        const headers: [string, string][] = [["Host", url.port === 80 ? url.host : `${url.host}:${url.port}`], ["User-Agent", options.get("U") ?? "Wget"], ["Connection", "close"]];
        if (body !== undefined) headers.push(["Content-Type", "application/x-www-form-urlencoded"]);
        for (const header of options.all("h")) {
          const colon = header.indexOf(":");
          if (colon < 0) continue;
          const name = header.slice(0, colon);
          const same = headers.findIndex(([other]) => other.toLowerCase() === name.toLowerCase());
          if (same >= 0) headers.splice(same, 1);
          headers.push([name, header.slice(colon + 1).trim()]);
        }
        try {
          response = await process.live(httpRequest(process.net, address, url.port, {
            target: url.target, method: options.has("s") && body === undefined ? "HEAD" : body === undefined ? "GET" : "POST", headers, ...(body === undefined ? {} : { body }),
          }, limit.signal));
        } catch (error) {
          if (limit.signal.aborted) return await fail("download timed out");
          if ((error as Error).name === "SocketError") return await fail(`can't connect to remote host (${address}): ${reasonOf(error)}`);
          return await fail("error getting response");
        }
        if (options.has("S")) await process.error(`  ${response.version} ${response.status} ${response.reason}\n${Object.entries(response.headers).map(([name, value]) => `  ${name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())}: ${value}\n`).join("")}  \n`);
        const location = response.headers["location"];
        if (response.status < 300 || response.status >= 400 || location === undefined) break;
        if (redirects >= REDIRECTS_MAX) return await fail("too many redirections");
        const next = parseHttpUrl(location.startsWith("/") ? `http://${url.host}:${url.port}${location}` : location);
        if (next === undefined) return await fail(`not an http or ftp url: ${location}`);
        url = next;
      }
    } finally {
      cancel();
    }
    if (response.status >= 400) return fail(`server returned error: ${response.version} ${response.status} ${response.reason}`);
    if (options.has("s")) {
      if (!quiet) await process.error("remote file exists\n");
      continue;
    }
    if (output === "-") {
      if (!quiet) await process.error("writing to stdout\n");
      await process.write(1, response.body);
      if (!quiet) await process.error(`-                    100% |********************************|${String(response.body.length).padStart(6)}  0:00:00 ETA\nwritten to stdout\n`);
      continue;
    }
    const path = output ?? join(options.get("P") ?? "", byteString(baseName(url.target.split("?")[0]!) === "/" ? "index.html" : baseName(url.target.split("?")[0]!)));
    try {
      if (output === undefined && process.fs.tryFind(process, path) !== undefined) throw new Errno("EEXIST");
      process.fs.writeFile(process, path, response.body);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return fail(`can't open '${path}': ${error.message}`);
    }
    if (!quiet) await process.error(`saving to '${path}'\n${path.slice(0, 20).padEnd(20)} 100% |********************************|${String(response.body.length).padStart(6)}  0:00:00 ETA\n'${path}' saved\n`);
  }
  return 0;
});
