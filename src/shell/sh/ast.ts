/** Commands and words of the shell (POSIX XCU 2.9, 2.6) as the parser hands them to the interpreter. */

export type Part =
  /** Characters as they are; unquoted ones are subject to globbing. */
  | { readonly t: "text"; readonly text: string; readonly quoted: boolean }
  /** `$NAME`, `${NAME…}`. */
  | { readonly t: "param"; readonly name: string; readonly op: ParamOp; readonly word?: Word; readonly word2?: Word; readonly quoted: boolean }
  /** `$(…)` and `` `…` `` */
  | { readonly t: "command"; readonly body: Command | undefined; readonly quoted: boolean }
  /** `$((…))` */
  | { readonly t: "arith"; readonly word: Word; readonly quoted: boolean };

export type ParamOp =
  | "" | "#len" | "-" | ":-" | "=" | ":=" | "?" | ":?" | "+" | ":+" | "#" | "##" | "%" | "%%"
  /** `${x:from:length}`, `${x/pattern/text}`, `${x//pattern/text}`. */
  | "sub" | "/" | "//";

export type Word = readonly Part[];

export interface Assignment {
  readonly name: string;
  readonly value: Word;
}

export interface Redirection {
  readonly fd: number;
  readonly op: "<" | ">" | ">>" | ">|" | "<>" | "<&" | ">&" | "&>" | "<<";
  /** The file, the descriptor, or the text of a here-document. */
  word: Word;
}

export interface CaseItem {
  readonly patterns: readonly Word[];
  readonly body: Command | undefined;
}

export type Command =
  | { readonly t: "simple"; readonly assignments: readonly Assignment[]; readonly words: readonly Word[]; readonly redirections: readonly Redirection[]; readonly line: number }
  | { readonly t: "pipeline"; readonly commands: readonly Command[]; readonly negated: boolean }
  | { readonly t: "and" | "or"; readonly left: Command; readonly right: Command }
  | { readonly t: "list"; readonly items: readonly Command[] }
  | { readonly t: "background"; readonly body: Command; readonly text: string }
  | { readonly t: "subshell" | "group"; readonly body: Command; readonly redirections: readonly Redirection[]; readonly line: number }
  | { readonly t: "if"; readonly condition: Command; readonly then: Command; readonly otherwise: Command | undefined; readonly redirections: readonly Redirection[] }
  | { readonly t: "while"; readonly until: boolean; readonly condition: Command; readonly body: Command; readonly redirections: readonly Redirection[] }
  | { readonly t: "for"; readonly name: string; readonly words: readonly Word[] | undefined; readonly body: Command; readonly redirections: readonly Redirection[]; readonly line: number }
  | { readonly t: "case"; readonly word: Word; readonly items: readonly CaseItem[]; readonly redirections: readonly Redirection[]; readonly line: number }
  | { readonly t: "function"; readonly name: string; readonly body: Command };
