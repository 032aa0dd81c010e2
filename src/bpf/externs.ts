/**
 * What an object wants from the kernel by name: `__kconfig` variables, which become the read-only map `.kconfig`, and `__ksym` variables and
 * functions. Follows tools/lib/bpf/libbpf.c, bpf_object__collect_externs and bpf_object__resolve_externs.
 */
import { BTF_EXTERN, BTF_INT_BOOL, BTF_INT_SIGNED, BtfKind, isAnyEnum, type Btf } from "./btf.ts";
import { isExtern, STB_WEAK, type ElfFile } from "./elf.ts";
import { BpfObjectError, type LoadErrno } from "./errors.ts";

interface ExternBase {
  readonly name: string;
  /** Without a flavour: `name___suffix`. */
  readonly essentialName: string;
  /** Index in the symbol table. */
  readonly symbol: number;
  readonly weak: boolean;
  /** BTF id of the variable or function. */
  readonly btf: number;
}

export interface KconfigExtern extends ExternBase {
  readonly kind: "kconfig";
  readonly valueType: "bool" | "char" | "tristate" | "int" | "chars";
  readonly signed: boolean;
  readonly size: number;
  /** Its place in `.kconfig`. */
  readonly offset: number;
}

export interface KsymExtern extends ExternBase {
  readonly kind: "ksym";
  readonly isFunction: boolean;
  /** BTF id of the variable's type behind qualifiers; 0 for `void`. */
  readonly type: number;
}

export type ObjectExtern = KconfigExtern | KsymExtern;

const fail = (errno: LoadErrno, message: string): never => {
  throw new BpfObjectError(errno, message);
};

/** The name up to `___`, which separates a flavour (bpf_core_essential_name_len). */
export function essentialName(name: string): string {
  for (let i = name.length - 5; i >= 0; i--) {
    if (name[i] !== "_" && name.startsWith("___", i + 1) && name[i + 4] !== "_") return name.slice(0, i + 1);
  }
  return name;
}

export interface CollectedExterns {
  /** kconfig ones first, in the order of `.kconfig`. */
  readonly externs: ObjectExtern[];
  readonly kconfigBytes: number;
  /** BTF ids of `.kconfig` and `.ksyms`. */
  readonly sections: ReadonlyMap<string, number>;
}

/** Throws BpfObjectError. */
export function collectExterns(elf: ElfFile, btf: Btf | undefined): CollectedExterns {
  const externs: ObjectExtern[] = [];
  const sections = new Map<string, number>();
  for (const symbol of elf.symbols) {
    if (!isExtern(symbol) || symbol.name === "") continue;
    const { name } = symbol;
    if (btf === undefined) return fail("EINVAL", "BTF is required, but is missing or corrupted.");
    const id = findExtern(btf, name);
    const type = btf.type(id)!;
    const section = btf.types.findIndex((candidate) => candidate?.kind === BtfKind.DATASEC && candidate.vars!.some((variable) => variable.type === id));
    if (section < 0) fail("ENOENT", `failed to find BTF for extern '${name}' [${id}] section: -2`);
    const sectionName = btf.type(section)!.name;
    const base = { name: type.name, essentialName: essentialName(type.name), symbol: symbol.index, weak: symbol.bind === STB_WEAK, btf: id };
    if (sectionName === ".kconfig") {
      if (type.kind === BtfKind.FUNC) fail("ENOTSUP", `extern function ${name} is unsupported under .kconfig section`);
      const size = btf.sizeOf(type.type!);
      if (size === undefined || size === 0) return fail("EINVAL", `failed to resolve size of extern (kcfg) '${name}': -22`);
      if (btf.alignOf(type.type!) === 0) fail("EINVAL", `failed to determine alignment of extern (kcfg) '${name}': 0`);
      const kind = kconfigType(btf, type.type!) ?? fail("ENOTSUP", `extern (kcfg) '${name}': type is unsupported`);
      externs.push({ ...base, kind: "kconfig", ...kind, size, offset: 0 });
    } else if (sectionName === ".ksyms") {
      externs.push({ ...base, kind: "ksym", isFunction: type.kind === BtfKind.FUNC, type: type.kind === BtfKind.FUNC ? type.type! : btf.resolve(type.type!) });
    } else fail("ENOTSUP", `unrecognized extern section '${sectionName}'`);
    sections.set(sectionName, section);
  }
  const align = (extern: ObjectExtern): number => btf!.alignOf(btf!.type(extern.btf)!.type!);
  externs.sort((a, b) => {
    if (a.kind !== b.kind) return a.kind === "kconfig" ? -1 : 1;
    if (a.kind !== "kconfig" || b.kind !== "kconfig") return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
    return align(b) - align(a) || a.size - b.size || (a.name < b.name ? -1 : 1);
  });
  let kconfigBytes = 0;
  for (const [i, extern] of externs.entries()) {
    if (extern.kind !== "kconfig") continue;
    const offset = Math.ceil(kconfigBytes / align(extern)) * align(extern);
    externs[i] = { ...extern, offset };
    kconfigBytes = offset + extern.size;
  }
  return { externs, kconfigBytes, sections };
}

function findExtern(btf: Btf, name: string): number {
  for (const id of btf.named(name)) {
    const { kind, linkage } = btf.type(id)!;
    if (kind !== BtfKind.VAR && kind !== BtfKind.FUNC) continue;
    if (linkage !== BTF_EXTERN) fail("EINVAL", `failed to find BTF for extern '${name}': -22`);
    return id;
  }
  return fail("ENOENT", `failed to find BTF for extern '${name}': -2`);
}

/** find_kcfg_type. */
function kconfigType(btf: Btf, id: number): Pick<KconfigExtern, "valueType" | "signed"> | undefined {
  const type = btf.resolved(id);
  switch (type?.kind) {
    case BtfKind.INT: {
      const signed = (type.encoding! & BTF_INT_SIGNED) !== 0;
      const size = type.size!;
      if (type.encoding! & BTF_INT_BOOL) return size === 1 ? { valueType: "bool", signed } : undefined;
      if (size === 1) return { valueType: "char", signed };
      return size === 2 || size === 4 || size === 8 ? { valueType: "int", signed } : undefined;
    }
    case BtfKind.ENUM:
    case BtfKind.ENUM64:
      return isAnyEnum(type.kind) && type.size === 4 && type.name === "libbpf_tristate" ? { valueType: "tristate", signed: false } : undefined;
    case BtfKind.ARRAY: {
      if (type.count === 0 || kconfigType(btf, type.element!)?.valueType !== "char") return undefined;
      return { valueType: "chars", signed: false };
    }
    default:
      return undefined;
  }
}

/** What the simulated kernel is configured as: `CONFIG_*` to `y`, `m`, `n`, a number, or a text in quotes, as in /proc/config.gz. */
export type KernelConfig = Readonly<Record<string, string>>;

/** What LINUX_* variables and missing options come from. */
export interface KernelFacts {
  /** KERNEL_VERSION(a, b, c). */
  readonly version: number;
  readonly config: KernelConfig;
}

/** The contents of `.kconfig`. Throws BpfObjectError ESRCH for a strong variable that nobody has, EINVAL/ERANGE for one of a wrong type. */
export function kconfigData(externs: readonly ObjectExtern[], bytes: number, facts: KernelFacts): Uint8Array {
  const data = new Uint8Array(bytes);
  for (const extern of externs) {
    if (extern.kind !== "kconfig") continue;
    const text = extern.name.startsWith("LINUX_") ? virtualValue(extern, facts) : facts.config[extern.name];
    if (text !== undefined) setValue(data, extern, text);
    else if (!extern.weak) fail("ESRCH", `extern (strong) '${extern.name}': not resolved`);
  }
  return data;
}

function virtualValue({ name, weak }: KconfigExtern, facts: KernelFacts): string | undefined {
  switch (name) {
    case "LINUX_KERNEL_VERSION":
      return String(facts.version);
    case "LINUX_HAS_BPF_COOKIE":
    case "LINUX_HAS_SYSCALL_WRAPPER":
      return "1";
    default:
      return weak ? undefined : fail("EINVAL", `extern (kcfg) '${name}': unrecognized virtual extern`);
  }
}

function setValue(data: Uint8Array, extern: KconfigExtern, text: string): void {
  const { name, valueType, size, offset, signed } = extern;
  const view = new DataView(data.buffer);
  if (text === "y" || text === "n" || text === "m") {
    if (valueType === "bool") {
      if (text === "m") fail("EINVAL", `extern (kcfg) '${name}': value 'm' implies tristate or char type`);
      data[offset] = text === "y" ? 1 : 0;
    } else if (valueType === "tristate") view.setUint32(offset, text === "y" ? 1 : text === "m" ? 2 : 0, true);
    else if (valueType === "char") data[offset] = text.charCodeAt(0);
    else fail("EINVAL", `extern (kcfg) '${name}': value '${text}' implies bool, tristate, or char type`);
    return;
  }
  if (text.startsWith('"')) {
    if (valueType !== "chars") fail("EINVAL", `extern (kcfg) '${name}': value '${text}' implies char array type`);
    const bytes = new TextEncoder().encode(text.slice(1, -1)).subarray(0, size - 1);
    data.set(bytes, offset);
    return;
  }
  const number = BigInt(text);
  if (valueType !== "int" && valueType !== "char" && valueType !== "bool") {
    fail("EINVAL", `extern (kcfg) '${name}': value '${number}' implies integer, char, or boolean type`);
  }
  if (valueType === "bool" && number !== 0n && number !== 1n) fail("EINVAL", `extern (kcfg) '${name}': value '${number}' isn't boolean compatible`);
  const bits = size * 8;
  const fits = (signed ? BigInt.asIntN(bits, number) : BigInt.asUintN(bits, number)) === number;
  if (!fits) fail("ERANGE", `extern (kcfg) '${name}': value '${number}' doesn't fit in ${size} bytes`);
  for (let i = 0; i < size; i++) data[offset + i] = Number((BigInt.asUintN(64, number) >> BigInt(8 * i)) & 0xffn);
}
