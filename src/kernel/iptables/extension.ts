/** What a match or target is to the parser: its options, its text, its bytes. */
import type { Writer } from "./writer.ts";

/** The option takes an argument. */
export const ARG = 1;
/** The option may follow `!`. */
export const INV = 2;
/** The option may be given more than once, or checks that itself. */
export const MULTI = 4;

/** What extensions look at of the rule they stand in. */
export interface RuleHead {
  readonly protocol: number;
  readonly protocolInverted: boolean;
  /** Is there an IP set of this name? */
  readonly setExists: (name: string) => boolean;
}

export interface Instance {
  /** One option as typed; `next` takes the word behind the argument. Throws `Refusal`. */
  option(name: string, argument: string, inverted: boolean, rule: RuleHead, next: () => string | undefined): void;
  /** After the last word of the rule: what is missing, what goes together. */
  finish?(given: ReadonlySet<string>, rule: RuleHead): void;
  /** The options as iptables-save prints them, each with a space before it. */
  save(): string;
  /** Appends the encoded match or target, header included; matches that are always true append nothing. */
  encode(writer: Writer): void;
}

export interface Extension {
  readonly name: string;
  /** ARG | INV | MULTI by name; two names with one meaning each stand here, and `option` gets the one typed. */
  readonly options: Readonly<Record<string, number>>;
  create(): Instance;
}
