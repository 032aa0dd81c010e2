/**
 * One rule: from the words of a command to its parts, to the text of iptables-save, to the bytes of the kernel's blob
 * (iptables/iptables.c do_command4, xshared.c do_parse; print_rule4).
 */
import {
  MATCH_FRAGMENT, MATCH_IN, MATCH_OUT, MATCH_PROTOCOL, TARGET_ACCEPT, TARGET_DROP, TARGET_GOTO, TARGET_JUMP, TARGET_NONE,
  TARGET_RETURN,
} from "../../../assembly/abi/netfilter.ts";
import { ARG, INV, MULTI, type Extension, type Instance } from "./extension.ts";
import { ipv4Family, type Family, type Host } from "./family.ts";
import { Refusal, parseNumber, parseProtocol, protocolName, usage } from "./text.ts";
import { Writer } from "./writer.ts";

/** A match or target in a rule. */
interface Part {
  readonly extension: Extension;
  readonly instance: Instance;
  readonly given: Set<string>;
}

/** What a rule says. Never changed once it is made: chains share it. */
export interface Rule {
  /** As iptables-save prints it behind `-A CHAIN`, with a space before it. */
  readonly text: string;
  /** The user chain it jumps or goes to. */
  readonly chain: string | undefined;
  /** Interfaces given as `+`, which the text leaves out: 1 in, 2 out. */
  readonly anyInterface: number;
  /** The encoded rule; where it jumps the chain's number is still to be put at `chainAt`. */
  readonly bytes: Uint8Array;
  readonly chainAt: number;
}

/** What the words of a command are about, beside the rule. */
export interface ParsedRule {
  /** More than one where -s or -d name several addresses. */
  readonly rules: readonly Rule[];
  /** -c */
  readonly counters: readonly [bigint, bigint] | undefined;
}

const IFNAMSIZ = 16;
const STANDARD: Readonly<Record<string, number>> = { ACCEPT: TARGET_ACCEPT, DROP: TARGET_DROP, RETURN: TARGET_RETURN };

/** Adds extensions to those that rules of iptables may name; one of a name that is there already takes its place. */
export function extend(moreMatches: readonly Extension[], moreTargets: readonly Extension[]): void {
  const { matches, targets, protocolMatches, remembered } = ipv4Family();
  remembered.clear();
  for (const extension of moreMatches) matches.set(extension.name, extension);
  for (const extension of moreTargets) targets.set(extension.name, extension);
  Object.assign(protocolMatches, { 1: "icmp", 33: "dccp", 132: "sctp" });
}

// The rule's own options: what each is called in messages.
const BASE: Readonly<Record<string, string>> = {
  "-s": "s", "--source": "s", "--src": "s", "-d": "d", "--destination": "d", "--dst": "d", "-p": "p", "--protocol": "p",
  "--proto": "p", "-i": "i", "--in-interface": "i", "-o": "o", "--out-interface": "o", "-j": "j", "--jump": "j", "-g": "g",
  "--goto": "g", "-m": "m", "--match": "m", "-f": "f", "--fragments": "f", "-c": "c", "--set-counters": "c",
};
const BASE_LONG = Object.keys(BASE).filter((name) => name.startsWith("--"));
const INVERTIBLE = "sdpiof";

/** Is `name` the target of a user chain? Everything that is no standard verdict or extension is. */
export const isTargetName = (name: string, family = ipv4Family()): boolean => name in STANDARD || family.targets.has(name);

/** What a rule may name. */
export interface Surroundings {
  /** Is this a chain of the table? */
  readonly isChain: (name: string) => boolean;
  /** Is there an IP set of this name? */
  readonly setExists: (name: string) => boolean;
  /** iptables' where none is named. */
  readonly family?: Family;
}

class RuleParser {
  protocol = 0;
  protocolInverted = false;
  sources: Host[] = [];
  destinations: Host[] = [];
  sourceInverted = false;
  destinationInverted = false;
  inInterface = "";
  outInterface = "";
  inInverted = false;
  outInverted = false;
  fragment = 0; // 1: -f, -1: ! -f
  jump = "";
  goto = false;
  counters: [bigint, bigint] | undefined;
  readonly parts: Part[] = [];
  target: Part | undefined;
  /** The target that there is not. */
  missing: string | undefined;
  readonly seen = new Set<string>();
  readonly words: readonly string[];
  readonly isChain: (name: string) => boolean;
  readonly setExists: (name: string) => boolean;
  readonly family: Family;
  at: number;

  constructor(words: readonly string[], at: number, namespace: Surroundings) {
    this.words = words;
    this.at = at;
    this.isChain = namespace.isChain;
    this.setExists = namespace.setExists;
    this.family = namespace.family ?? ipv4Family();
  }

  run(): void {
    const { words } = this;
    let inverted = false;
    while (this.at < words.length) {
      const word = words[this.at++]!;
      if (word === "!") {
        if (inverted) throw usage("multiple consecutive ! not allowed");
        inverted = true;
        continue;
      }
      this.#option(word, inverted);
      inverted = false;
    }
    if (inverted) throw new Refusal("plain", "Bad argument `!'", 2);
    for (const part of this.parts) part.instance.finish?.(part.given, this);
    this.target?.instance.finish?.(this.target.given, this);
    if (this.missing !== undefined) throw usage(`Couldn't load target \`${this.missing}':No such file or directory\n`);
    if ((this.sources.length > 1 && this.sourceInverted) || (this.destinations.length > 1 && this.destinationInverted)) {
      throw usage("! not allowed with multiple source or destination IP addresses");
    }
  }

  #argument(word: string): string {
    const argument = this.words[this.at];
    if (argument === undefined) throw usage(`option "${word}" requires an argument`);
    this.at++;
    // The old place of the exclamation mark.
    if (argument === "!") throw new Refusal("plain", `Bad argument \`${this.words[this.at] ?? "!"}'`, 2);
    return argument;
  }

  #option(typed: string, inverted: boolean): void {
    let word = typed;
    let inline: string | undefined;
    if (!typed.startsWith("-") || typed === "-") throw new Refusal("plain", `Bad argument \`${typed}'`, 2);
    if (typed.startsWith("--")) {
      const equals = typed.indexOf("=");
      if (equals > 0) {
        word = typed.slice(0, equals);
        inline = typed.slice(equals + 1);
      }
    } else if (typed.length > 2) {
      word = typed.slice(0, 2);
      inline = typed.slice(2);
    }
    const base = this.#base(word);
    if (base !== undefined) {
      this.#baseOption(base, inline ?? (base === "f" ? "" : this.#argument(typed)), inverted);
      return;
    }
    const v6 = this.family.tool === "ip6tables";
    if (word === (v6 ? "-6" : "-4") || word === (v6 ? "--ipv6" : "--ipv4")) return;
    if (word === (v6 ? "-4" : "-6") || word === (v6 ? "--ipv4" : "--ipv6")) throw new Refusal("plain", "", 2);
    if (word === "-w" || word === "--wait") {
      if (inline === undefined && parseNumber(this.words[this.at] ?? "") !== undefined) this.at++;
      return;
    }
    if (!typed.startsWith("--")) throw usage(`unknown option "${typed}"`);
    if (!this.#extensionOption(word.slice(2), typed, inline, inverted)) {
      throw usage(`unknown option "${typed}"`);
    }
  }

  /** The rule's own option, by its name or the beginning of its long one. */
  #base(word: string): string | undefined {
    const exact = BASE[word];
    // Of the short forms that stand in the table an extension may have an option of its own (policy's --proto).
    if (word === "--proto" && this.#exact("proto")) return undefined;
    if (exact !== undefined || !word.startsWith("--") || word.length < 4) return exact;
    if (this.#exact(word.slice(2)) || this.#find(word.slice(2)) !== undefined) return undefined;
    const found = BASE_LONG.filter((name) => name.startsWith(word));
    return found.length > 0 && found.every((name) => BASE[name] === BASE[found[0]!]) ? BASE[found[0]!] : undefined;
  }

  #baseOption(option: string, argument: string, inverted: boolean): void {
    if (option !== "m" && option !== "c" && this.seen.has(option)) throw usage(`multiple -${option} flags not allowed`);
    if (inverted && !INVERTIBLE.includes(option)) throw usage(`cannot have ! before -${option}`);
    this.seen.add(option);
    switch (option) {
      case "s":
        this.sources = argument.split(",").map(this.family.parseHost);
        this.sourceInverted = inverted;
        break;
      case "d":
        this.destinations = argument.split(",").map(this.family.parseHost);
        this.destinationInverted = inverted;
        break;
      case "p":
        this.protocol = parseProtocol(argument);
        this.protocolInverted = inverted;
        if (this.protocol === 0 && inverted) throw usage("rule would never match protocol");
        break;
      case "i":
        this.inInterface = interfaceName(argument);
        this.inInverted = inverted;
        break;
      case "o":
        this.outInterface = interfaceName(argument);
        this.outInverted = inverted;
        break;
      case "f":
        if (this.family.tool === "ip6tables") throw usage("`-f' is not supported in IPv6, use -m frag instead");
        this.fragment = inverted ? -1 : 1;
        break;
      case "j":
      case "g":
        if (this.jump !== "") throw usage("multiple -j flags not allowed");
        this.#jumpTo(argument, option === "g");
        break;
      case "m": {
        const extension = this.family.matches.get(argument);
        if (extension === undefined) throw usage(`Couldn't load match \`${argument}':No such file or directory\n`);
        this.#add(extension);
        break;
      }
      default: {
        const bytes = this.words[this.at];
        if (bytes === undefined || bytes.startsWith("-")) throw usage("-c requires packet and byte counter");
        this.at++;
        if (!/^[0-9]+$/.test(argument)) throw usage("-c packet counter not numeric");
        if (!/^[0-9]+$/.test(bytes)) throw usage("-c byte counter not numeric");
        this.counters = [BigInt(argument), BigInt(bytes)];
      }
    }
  }

  #jumpTo(name: string, goto: boolean): void {
    if (name.length > 28) {
      throw usage(`Invalid target name \`${name}' (28 chars max)`);
    }
    this.jump = name;
    this.goto = goto;
    if (goto || name in STANDARD || this.isChain(name)) return;
    const extension = this.family.targets.get(name);
    // Said only when all words are read: an option that would be its own is refused first.
    if (extension === undefined) {
      this.missing = name;
      return;
    }
    this.target = { extension, instance: extension.create(), given: new Set() };
  }

  #add(extension: Extension): Part {
    const part: Part = { extension, instance: extension.create(), given: new Set() };
    this.parts.push(part);
    return part;
  }

  /** Is this the whole name of an option that is known here? */
  #exact(name: string): boolean {
    if (this.target !== undefined && name in this.target.extension.options) return true;
    for (const part of this.parts) if (name in part.extension.options) return true;
    const implied = this.family.protocolMatches[this.protocol];
    return implied !== undefined && name in this.family.matches.get(implied)!.options;
  }

  /** Where an option belongs: the target first, then the matches from the last to the first, as libxtables looks. */
  #find(name: string): { part: Part; option: string } | undefined {
    if (this.target !== undefined && name in this.target.extension.options) return { part: this.target, option: name };
    for (let i = this.parts.length - 1; i >= 0; i--) {
      const part = this.parts[i]!;
      if (name in part.extension.options) return { part, option: name };
    }
    return this.#findBeginning(name);
  }

  /** The same for the beginning of a name. */
  #findBeginning(name: string): { part: Part; option: string } | undefined {
    if (this.target !== undefined) {
      const option = optionNamed(this.target.extension, name);
      if (option !== undefined) return { part: this.target, option };
    }
    for (let i = this.parts.length - 1; i >= 0; i--) {
      const part = this.parts[i]!;
      const option = optionNamed(part.extension, name);
      if (option !== undefined) return { part, option };
    }
    return undefined;
  }

  #extensionOption(name: string, typed: string, inline: string | undefined, inverted: boolean): boolean {
    let found = this.#find(name);
    if (found === undefined) {
      // An option of the protocol's match, which comes along unasked.
      const implied = this.protocolInverted ? undefined : this.family.protocolMatches[this.protocol];
      if (implied === undefined || this.parts.some((part) => part.extension.name === implied)) return false;
      const extension = this.family.matches.get(implied)!;
      const option = optionNamed(extension, name);
      if (option === undefined) return false;
      found = { part: this.#add(extension), option };
    }
    const { part, option } = found;
    const flags = part.extension.options[option]!;
    if (!(flags & MULTI) && part.given.has(option)) {
      throw usage(`${part.extension.name}: option "--${option}" can only be used once.\n`);
    }
    if (inverted && !(flags & INV)) throw usage(`${part.extension.name}: option "--${option}" cannot be inverted.\n`);
    if (!(flags & ARG) && inline !== undefined) return false;
    const argument = flags & ARG ? (inline ?? this.#argument(typed)) : "";
    part.given.add(option);
    part.instance.option(option, argument, inverted, this, () => this.words[this.at++]);
    return true;
  }
}

/** An extension's option by its name, or by a beginning that fits only one. */
function optionNamed(extension: Extension, name: string): string | undefined {
  if (name in extension.options) return name;
  let found: string | undefined;
  for (const option in extension.options) {
    if (!option.startsWith(name)) continue;
    if (found !== undefined) return undefined;
    found = option;
  }
  return found;
}

function interfaceName(text: string): string {
  if (text.length >= IFNAMSIZ) throw usage(`interface name \`${text}' must be shorter than IFNAMSIZ (${IFNAMSIZ - 1})`);
  return text;
}

const writer = new Writer();

const saveAddress = (letter: string, host: Host | undefined, inverted: boolean): string =>
  host === undefined || (host.any && !inverted) ? "" : `${inverted ? " !" : ""} -${letter} ${host.text}`;
const saveInterface = (letter: string, name: string, inverted: boolean): string =>
  name === "" || name === "+" ? "" : `${inverted ? " !" : ""} -${letter} ${name}`;

function encodeAddress(kind: number, bytes: number, host: Host | undefined, inverted: boolean): void {
  if (host === undefined || (host.any && !inverted)) return;
  host.encode(writer.head(kind, inverted, bytes));
}

function encodeInterface(kind: number, name: string, inverted: boolean): void {
  if (name === "" || (name === "+" && !inverted)) return;
  const wildcard = name.endsWith("+");
  writer.head(kind, inverted, 32).text(wildcard ? name.slice(0, -1) : name, IFNAMSIZ);
  const length = wildcard ? name.length - 1 : name.length + 1;
  for (let i = 0; i < IFNAMSIZ; i++) writer.u8(i < length ? 255 : 0);
}

function build(p: RuleParser, source: Host | undefined, destination: Host | undefined): Rule {
  let text = saveAddress("s", source, p.sourceInverted) + saveAddress("d", destination, p.destinationInverted);
  text += saveInterface("i", p.inInterface, p.inInverted) + saveInterface("o", p.outInterface, p.outInverted);
  if (p.protocol !== 0) text += `${p.protocolInverted ? " !" : ""} -p ${protocolName(p.protocol)}`;
  if (p.fragment !== 0) text += p.fragment < 0 ? " ! -f" : " -f";
  writer.at = 0;
  writer.u32(0).u32(0);
  const { source: sourceKind, destination: destinationKind, hostBytes } = p.family;
  encodeAddress(sourceKind, hostBytes, source, p.sourceInverted);
  encodeAddress(destinationKind, hostBytes, destination, p.destinationInverted);
  encodeInterface(MATCH_IN, p.inInterface, p.inInverted);
  encodeInterface(MATCH_OUT, p.outInterface, p.outInverted);
  if (p.protocol !== 0) writer.head(MATCH_PROTOCOL, p.protocolInverted, 4).u32(p.protocol);
  if (p.fragment !== 0) writer.head(MATCH_FRAGMENT, p.fragment < 0, 0);
  for (const { extension, instance } of p.parts) {
    text += ` -m ${extension.name}${instance.save()}`;
    instance.encode(writer);
  }
  const targetAt = writer.at;
  let chain: string | undefined;
  let chainAt = 0;
  if (p.jump !== "") text += ` -${p.goto ? "g" : "j"} ${p.jump}`;
  if (p.target !== undefined) {
    text += p.target.instance.save();
    p.target.instance.encode(writer);
  } else if (p.jump === "") {
    writer.head(TARGET_NONE, false, 0);
  } else if (!p.goto && p.jump in STANDARD) {
    writer.head(STANDARD[p.jump]!, false, 0);
  } else {
    chain = p.jump;
    writer.head(p.goto ? TARGET_GOTO : TARGET_JUMP, false, 4);
    chainAt = writer.at;
    writer.u32(0);
  }
  writer.view.setUint32(0, writer.at, true);
  writer.view.setUint32(4, targetAt, true);
  const anyInterface = (p.inInterface === "+" && !p.inInverted ? 1 : 0) | (p.outInterface === "+" && !p.outInverted ? 2 : 0);
  return { text, chain, anyInterface, bytes: writer.copy(), chainAt };
}

/**
 * The rule that `words` say from index `at` on. `builtin` is the built-in chain it is for, as some interfaces have no meaning there.
 * Throws `Refusal`.
 */
export function parseRule(words: readonly string[], at: number, builtin: string, namespace: Surroundings): ParsedRule {
  const p = new RuleParser(words, at, namespace);
  p.run();
  if (p.inInterface !== "" && (builtin === "POSTROUTING" || builtin === "OUTPUT")) throw usage(`Can't use -i with ${builtin}\n`);
  if (p.outInterface !== "" && (builtin === "PREROUTING" || builtin === "INPUT")) throw usage(`Can't use -o with ${builtin}\n`);
  const rules: Rule[] = [];
  for (const source of p.sources.length === 0 ? [undefined] : p.sources) {
    for (const destination of p.destinations.length === 0 ? [undefined] : p.destinations) {
      rules.push(build(p, source, destination));
    }
  }
  return { rules, counters: p.counters };
}
