/** `opts` of a case's VXLAN interface: words of `ip link add … type vxlan`. */
import type { VxlanOptions } from "../kernel/netns.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Takes one value. */
const VALUES: Readonly<Record<string, (more: Mutable<VxlanOptions>, value: string) => void>> = {
  remote: (more, value) => { more.remote = value; },
  group: (more, value) => { more.remote = value; },
  ttl: (more, value) => { more.ttl = value === "inherit" ? value : value === "auto" ? 0 : Number(value); },
  tos: (more, value) => { more.tos = value === "inherit" ? value : Number(value); },
  df: (more, value) => { more.df = value as "unset" | "set" | "inherit"; },
  ageing: (more, value) => { more.ageing = Number(value); },
  maxaddress: (more, value) => { more.maxAddress = Number(value); },
};
const FLAGS: Readonly<Record<string, keyof VxlanOptions>> = {
  proxy: "proxy", l2miss: "l2miss", l3miss: "l3miss", gbp: "gbp", udp6zerocsumtx: "udp6ZeroCsumTx", udp6zerocsumrx: "udp6ZeroCsumRx",
};

/** Throws Error for a word that is not known, or is not carried out here (`external`, `rsc`, `gpe` …). */
export function vxlanOpts(text: string): { readonly learning: boolean; readonly udpCsum: boolean; readonly more?: VxlanOptions } {
  const more: Mutable<VxlanOptions> = {};
  let learning = true;
  let udpCsum = true;
  const words = text.split(" ").filter((word) => word !== "");
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const flag = FLAGS[word.replace(/^no/, "")];
    if (word === "learning" || word === "nolearning") learning = word === "learning";
    else if (word === "udpcsum" || word === "noudpcsum") udpCsum = word === "udpcsum";
    else if (word === "srcport") {
      more.srcPort = [Number(words[i + 1]), Number(words[i + 2])];
      i += 2;
    } else if (VALUES[word] !== undefined) VALUES[word](more, words[++i] ?? "");
    else if (flag !== undefined) (more as Record<string, boolean>)[flag] = !word.startsWith("no");
    else throw new Error(`"${word}" of a vxlan is not known`);
  }
  return { learning, udpCsum, ...(Object.keys(more).length === 0 ? {} : { more }) };
}
