/** Matches of the full kernel that read headers and payload, as in iptables' extensions/libxt_*.c: sctp, dccp, ah, esp, tcpmss, string, u32, bpf, osf. */
import { PORTS_INV_DPORT, PORTS_INV_SPORT } from "../../../assembly/abi/netfilter.ts";
import {
  DCCP_INV_OPTION, DCCP_INV_TYPES, DCCP_TYPES, MATCH_AH, MATCH_BPF, MATCH_DCCP, MATCH_ESP, MATCH_NEVER, MATCH_SCTP, MATCH_STRING,
  MATCH_TCPMSS, MATCH_U32,
} from "../../../assembly/abi/xtables.ts";
import { ARG, INV, type Extension } from "./extension.ts";
import { ALL_PORTS, bang, must, range } from "./match-words.ts";
import { PORT_OPTIONS, isSource, savePorts } from "./matches.ts";
import { Refusal, formatRange, hex, number, parseNumber, parsePorts, usage, type Range } from "./text.ts";


/** A match of one value or range with one option. */
const ranged = (name: string, option: string, kind: number, max: number, wide: boolean, needed: boolean): Extension => ({
  name,
  options: { [option]: ARG | INV },
  create() {
    let value: Range = [0, max];
    let inverted = false;
    return {
      option(_name, argument, not) {
        value = range(name, option, argument, max);
        inverted = not;
      },
      finish(given) {
        if (!given.has(option) && needed) throw must(name, option);
      },
      save: () => (value[0] === 0 && value[1] === max && !inverted ? "" : `${bang(inverted)} --${option} ${formatRange(value)}`),
      encode(w) {
        w.head(kind, inverted, wide ? 8 : 4);
        if (wide) w.u32(value[0]).u32(value[1]);
        else w.u16(value[0]).u16(value[1]);
      },
    };
  },
});

// extensions/libxt_sctp.c: number, name, letters of its flags from bit 7 down ("-": none)
const CHUNKS: readonly (readonly [string, number, string])[] = [
  ["DATA", 0, "----IUBE"], ["INIT", 1, "--------"], ["INIT_ACK", 2, "--------"], ["SACK", 3, "--------"], ["HEARTBEAT", 4, "--------"],
  ["HEARTBEAT_ACK", 5, "--------"], ["ABORT", 6, "-------T"], ["SHUTDOWN", 7, "--------"], ["SHUTDOWN_ACK", 8, "--------"],
  ["ERROR", 9, "--------"], ["COOKIE_ECHO", 10, "--------"], ["COOKIE_ACK", 11, "--------"], ["ECN_ECNE", 12, "--------"],
  ["ECN_CWR", 13, "--------"], ["SHUTDOWN_COMPLETE", 14, "-------T"], ["I_DATA", 64, "----IUBE"], ["RE_CONFIG", 130, "--------"],
  ["PAD", 132, "--------"], ["ASCONF", 193, "--------"], ["ASCONF_ACK", 128, "--------"], ["FORWARD_TSN", 192, "--------"],
  ["I_FORWARD_TSN", 194, "--------"],
];

const CHUNK_MODES = ["any", "all", "only"];

const sctp: Extension = {
  name: "sctp",
  options: { ...PORT_OPTIONS, "chunk-types": ARG | INV },
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let inverted = 0;
    let mode = 0;
    let chunksInverted = false;
    const chunks = new Set<number>();
    const flags = new Map<number, { flag: number; mask: number }>();
    return {
      option(name, argument, not, _rule, next) {
        if (name === "chunk-types") {
          const list = next();
          if (list === undefined || list.startsWith("-") || list === "!") throw usage("--chunk-types requires two args");
          mode = CHUNK_MODES.indexOf(argument.toLowerCase()) + 1;
          if (mode === 0) throw usage('Match type has to be one of "ALL", "ANY" or "ONLY"');
          chunksInverted = not;
          if (list.toUpperCase() === "ALL") for (let i = 0; i < 256; i++) chunks.add(i);
          else if (list.toUpperCase() !== "NONE") {
            for (const word of list.split(",")) {
              const [chunkName = "", letters] = word.split(":");
              const chunk = CHUNKS.find(([known]) => known === chunkName.toUpperCase());
              if (chunk === undefined) throw usage(`Unknown sctp chunk \`${chunkName}'`);
              chunks.add(chunk[1]);
              if (letters === undefined) continue;
              const entry = flags.get(chunk[1]) ?? { flag: 0, mask: 0 };
              flags.set(chunk[1], entry);
              for (const letter of letters) {
                const at = chunk[2].indexOf(letter.toUpperCase());
                if (at < 0) throw usage(`Invalid chunk flag ${letters} for chunk type ${chunkName}`);
                entry.mask |= 1 << (7 - at);
                if (letter === letter.toUpperCase()) entry.flag |= 1 << (7 - at);
              }
            }
          }
        } else if (isSource(name)) {
          source = parsePorts(argument);
          if (not) inverted |= PORTS_INV_SPORT;
        } else {
          destination = parsePorts(argument);
          if (not) inverted |= PORTS_INV_DPORT;
        }
      },
      save() {
        let text = savePorts(source, destination, inverted);
        if (mode === 0) return text;
        text += `${bang(chunksInverted)} --chunk-types ${CHUNK_MODES[mode - 1]} `;
        if (chunks.size === 0) return `${text}NONE`;
        if (chunks.size === 256) return `${text}ALL`;
        const names = [...chunks].sort((a, b) => a - b).map((chunk) => {
          const known = CHUNKS.find(([, value]) => value === chunk)!;
          const entry = flags.get(chunk);
          let letters = "";
          if (entry !== undefined) {
            for (let bit = 7; bit >= 0; bit--) {
              if (!(entry.mask & (1 << bit))) continue;
              const letter = known[2][7 - bit]!;
              letters += entry.flag & (1 << bit) ? letter : letter.toLowerCase();
            }
          }
          return letters === "" ? known[0] : `${known[0]}:${letters}`;
        });
        return text + names.join(",");
      },
      encode(w) {
        w.head(MATCH_SCTP, false, 76).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]);
        const entries = [...flags].slice(0, 8);
        w.u8(inverted).u8(mode).u8(chunksInverted ? 1 : 0).u8(entries.length);
        for (let word = 0; word < 8; word++) {
          let bits = 0;
          for (let bit = 0; bit < 32; bit++) if (chunks.has(word * 32 + bit)) bits |= 1 << bit;
          w.u32(bits >>> 0);
        }
        for (let i = 0; i < 8; i++) {
          const entry = entries[i];
          w.u8(entry?.[0] ?? 0).u8(entry?.[1].flag ?? 0).u8(entry?.[1].mask ?? 0).u8(0);
        }
      },
    };
  },
};

const DCCP_TYPE_NAMES = ["REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK"];

const dccp: Extension = {
  name: "dccp",
  options: { ...PORT_OPTIONS, "dccp-types": ARG | INV, "dccp-option": ARG | INV },
  create() {
    let source = ALL_PORTS;
    let destination = ALL_PORTS;
    let inverted = 0;
    let types = 0;
    let option = 0;
    return {
      option(name, argument, not) {
        if (name === "dccp-types") {
          for (const word of argument.split(",")) {
            const bit = word.toUpperCase() === "INVALID" ? 10 : DCCP_TYPE_NAMES.indexOf(word.toUpperCase());
            if (bit < 0) throw usage(`Unknown DCCP type \`${word}'`);
            types |= bit === 10 ? 0xfc00 : 1 << bit;
          }
          inverted |= DCCP_TYPES | (not ? DCCP_INV_TYPES : 0);
        } else if (name === "dccp-option") {
          option = number("dccp", name, argument, 1, 255, true);
          if (not) inverted |= DCCP_INV_OPTION;
        } else if (isSource(name)) {
          source = parsePorts(argument);
          if (not) inverted |= PORTS_INV_SPORT;
        } else {
          destination = parsePorts(argument);
          if (not) inverted |= PORTS_INV_DPORT;
        }
      },
      save() {
        let text = savePorts(source, destination, inverted);
        if (inverted & DCCP_TYPES) {
          const names = DCCP_TYPE_NAMES.filter((_, bit) => types & (1 << bit));
          if (types & 0xfc00) names.push("INVALID");
          text += `${bang((inverted & DCCP_INV_TYPES) !== 0)} --dccp-types ${names.join(",")}`;
        }
        if (option !== 0) text += `${bang((inverted & DCCP_INV_OPTION) !== 0)} --dccp-option ${option}`;
        return text;
      },
      encode(w) {
        w.head(MATCH_DCCP, false, 12).u16(source[0]).u16(source[1]).u16(destination[0]).u16(destination[1]);
        w.u8(inverted).u8(option).u16(types);
      },
    };
  },
};

const STRING_MAX = 128;

const string: Extension = {
  name: "string",
  options: { from: ARG, to: ARG, algo: ARG, string: ARG | INV, "hex-string": ARG | INV, icase: 0 },
  create() {
    let pattern: number[] = [];
    let algo = "";
    let from = 0;
    let to = 65535;
    let icase = false;
    let inverted = false;
    const parseHex = (text: string): number[] => {
      const bytes: number[] = [];
      let i = 0;
      let inHex = false;
      if (text === "") throw usage("STRING must contain at least one char");
      while (i < text.length) {
        let literal = false;
        if (text[i] === "\\") {
          if (inHex) throw usage(`Bad literal placement at end of string`);
          literal = true;
        } else if (text[i] === "|") {
          inHex = !inHex;
          if (inHex) while (text[i + 1] === " ") i++;
          if (i + 1 >= text.length) break;
          // What follows the bar is taken as it is, another bar too.
          i++;
        }
        if (literal) {
          if (i + 1 >= text.length) throw usage("Bad literal placement at end of string");
          bytes.push(text.charCodeAt(i + 1) & 255);
          i += 2;
        } else if (inHex) {
          if (i + 1 >= text.length) throw usage("Odd number of hex digits");
          if (i + 2 >= text.length) throw usage("Invalid hex block");
          for (const at of [i, i + 1]) if (!/[0-9a-fA-F]/.test(text[at]!)) throw usage(`Invalid hex char '${text[at]}'`);
          bytes.push(parseInt(text.slice(i, i + 2), 16));
          i += text[i + 2] === " " ? 3 : 2;
        } else {
          bytes.push(text.charCodeAt(i) & 255);
          i++;
        }
        if (bytes.length > STRING_MAX) throw usage(`STRING too long \`${text}'`);
      }
      return bytes;
    };
    const quoted = (): string =>
      ` "${pattern.map((c) => (c === 34 || c === 92 ? `\\${String.fromCharCode(c)}` : String.fromCharCode(c))).join("")}"`;
    return {
      option(name, argument, not) {
        switch (name) {
          case "from": from = number("string", name, argument, 0, 65535); break;
          case "to": to = number("string", name, argument, 0, 65535); break;
          case "algo":
            if (argument.length > 15) throw usage("string: \"algo\" option too long");
            algo = argument;
            break;
          case "icase": icase = true; break;
          default: {
            if (name === "string") {
              if (argument.length > STRING_MAX) throw usage(`STRING too long \`${argument}'`);
              pattern = [...argument].map((c) => c.charCodeAt(0) & 255);
            } else pattern = parseHex(argument);
            inverted = not;
          }
        }
      },
      finish(given) {
        if (!given.has("algo")) throw must("string", "algo");
        if (given.has("string") && given.has("hex-string")) {
          throw usage('string: option "--hex-string" cannot be used together with "--string".\n');
        }
        if (!given.has("string") && !given.has("hex-string")) throw usage("STRING match: You must specify `--string' or `--hex-string'");
        if (to < from) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
        if (algo !== "bm" && algo !== "kmp") throw new Refusal("other", "No chain/target/match by that name");
      },
      save() {
        // A pattern with anything but printable characters is shown in hexadecimal (is_hex_string).
        const asHex = pattern[pattern.length - 1] === 92 || pattern.some((c) => c < 32 || c > 126);
        const text = asHex ? ` "|${pattern.map((c) => c.toString(16).padStart(2, "0")).join("")}|"` : quoted();
        return (
          `${bang(inverted)} --${asHex ? "hex-string" : "string"}${text} --algo ${algo}` +
          (from !== 0 ? ` --from ${from}` : "") + (to !== 65535 ? ` --to ${to}` : "") + (icase ? " --icase" : "")
        );
      },
      encode(w) {
        w.head(MATCH_STRING, inverted, 136).u16(from).u16(to).u8(pattern.length).u8(icase ? 1 : 0).u16(0);
        for (let i = 0; i < STRING_MAX; i++) w.u8(pattern[i] ?? 0);
      },
    };
  },
};

const U32_OPERATIONS = ["&", "<<", ">>", "@"];

const u32: Extension = {
  name: "u32",
  options: { u32: ARG | INV },
  create() {
    interface Test { readonly numbers: [number, number][]; readonly values: [number, number][] }
    const tests: Test[] = [];
    let inverted = false;
    const parse = (text: string): void => {
      let at = 0;
      const skip = (): void => {
        while (text[at] === " " || text[at] === "\t") at++;
      };
      const int = (): number => {
        skip();
        const found = /^(0[xX][0-9a-fA-F]+|[0-9]+)/.exec(text.slice(at));
        const value = found === null ? undefined : parseNumber(found[0]);
        if (found === null || value === undefined) throw usage(`u32: at char ${at}: not a number or out of range`);
        at += found[0].length;
        return value;
      };
      for (;;) {
        const numbers: [number, number][] = [[int(), 0]];
        for (;;) {
          skip();
          const two_ = text.slice(at, at + 2);
          const operation = U32_OPERATIONS.findIndex((name) => (name.length === 2 ? two_ === name : text[at] === name));
          if (operation < 0) break;
          at += U32_OPERATIONS[operation]!.length;
          numbers.push([int(), operation]);
        }
        if (text[at] !== "=") throw usage(`u32: at char ${at}: operator expected`);
        at++;
        const values: [number, number][] = [];
        for (;;) {
          const lo = int();
          skip();
          let hi = lo;
          if (text[at] === ":") {
            at++;
            hi = int();
          }
          values.push([lo, hi]);
          skip();
          if (text[at] !== ",") break;
          at++;
        }
        if (numbers.length > 11) throw usage(`u32: at char ${at}: too many operators`);
        if (values.length > 11) throw usage(`u32: at char ${at}: too many values`);
        tests.push({ numbers, values });
        if (tests.length > 10) throw usage("u32: too many tests");
        skip();
        if (at >= text.length) return;
        if (text.slice(at, at + 2) !== "&&") throw usage(`u32: at char ${at}: "&&" was expected`);
        at += 2;
      }
    };
    const text = (): string =>
      tests
        .map(({ numbers, values }) =>
          `${numbers.map(([value, operation], i) => (i === 0 ? "" : U32_OPERATIONS[operation]!) + hex(value)).join("")}=` +
          values.map(([lo, hi]) => (lo === hi ? hex(lo) : `${hex(lo)}:${hex(hi)}`)).join(","))
        .join("&&");
    return {
      option(_name, argument, not) {
        if (argument.length > 511) throw usage("u32: the test is too long");
        parse(argument);
        inverted = not;
      },
      finish(given) {
        if (!given.has("u32")) throw must("u32", "u32");
      },
      save: () => `${bang(inverted)} --u32 "${text()}"`,
      encode(w) {
        let length = 4;
        for (const test of tests) length += 4 + 8 * (test.numbers.length + test.values.length);
        w.head(MATCH_U32, inverted, length).u32(tests.length);
        for (const { numbers, values } of tests) {
          w.u8(numbers.length).u8(values.length).u16(0);
          for (const [value, operation] of numbers) w.u32(value).u32(operation);
          for (const [lo, hi] of values) w.u32(lo).u32(hi);
        }
      },
    };
  },
};

const BPF_MAX = 64; // XT_BPF_MAX_NUM_INSTR

const bpf: Extension = {
  name: "bpf",
  options: { bytecode: ARG, "object-pinned": ARG },
  create() {
    let program: number[][] = [];
    return {
      option(name, argument) {
        if (name === "object-pinned") throw usage(`bpf: no object is pinned at "${argument}"`);
        const [count = "", ...rest] = argument.split(",");
        const wanted = /^\s*[0-9]+$/.test(count) ? Number(count) : NaN;
        if (!(wanted >= 0)) throw usage("bpf: error parsing program length");
        if (wanted === 0) throw usage("bpf: illegal zero length program");
        if (wanted > BPF_MAX) throw usage("bpf: number of instructions exceeds maximum");
        program = [];
        for (const part of rest) {
          if (program.length >= wanted) {
            if (part.trim() === "") continue;
            throw usage("bpf: real program length exceeds the encoded length parameter");
          }
          const fields = part.trim().split(/\s+/).map(Number);
          if (fields.length !== 4 || fields.some((value) => !Number.isInteger(value) || value < 0)) throw usage(`bpf: error at instr ${program.length}`);
          program.push(fields);
        }
        if (program.length < wanted) throw usage("bpf: parsed program length is less than the encoded length");
      },
      finish(given) {
        if (given.size === 0) throw usage("bpf: one option is required");
      },
      save: () => ` --bytecode "${program.length},${program.map((fields) => fields.join(" ")).join(",")}"`,
      encode(w) {
        w.head(MATCH_BPF, false, 4 + 8 * program.length).u32(program.length);
        for (const [code = 0, jt = 0, jf = 0, k = 0] of program) w.u16(code).u8(jt).u8(jf).u32(k);
      },
    };
  },
};

const osf: Extension = {
  name: "osf",
  options: { genre: ARG | INV, ttl: ARG, log: ARG },
  create() {
    let genre = "";
    let inverted = false;
    let ttl: number | undefined;
    let log: number | undefined;
    return {
      option(name, argument, not) {
        if (name === "genre") {
          if (argument.length > 31) throw usage('osf: bad value for option "--genre"\n');
          genre = argument;
          inverted = not;
        } else if (name === "ttl") ttl = number("osf", name, argument, 0, 2, true);
        else log = number("osf", name, argument, 0, 2, true);
      },
      finish(given, rule) {
        if (!given.has("genre")) throw must("osf", "genre");
        if (rule.protocol !== 6 || rule.protocolInverted) throw new Refusal("other", "Invalid argument. Run `dmesg' for more information");
      },
      save: () => `${bang(inverted)} --genre ${genre}${ttl === undefined ? "" : ` --ttl ${ttl}`}${log === undefined ? "" : ` --log ${log}`}`,
      encode(w) {
        // No fingerprints are loaded: nothing is known of any system.
        w.head(MATCH_NEVER, false, 4).u32(0);
      },
    };
  },
};

export const CONTENT_MATCHES: readonly Extension[] = [
  sctp, dccp, ranged("ah", "ahspi", MATCH_AH, 0xffffffff, true, false), ranged("esp", "espspi", MATCH_ESP, 0xffffffff, true, false),
  ranged("tcpmss", "mss", MATCH_TCPMSS, 65535, false, true), string, u32, bpf, osf,
];
