/**
 * BTF out of C declarations: enough of the language to write kernel structures down as their headers do. Structures, unions, enums,
 * typedefs, pointers, arrays, bit fields, function pointers and function prototypes; layout is that of gcc and clang for x86-64, unless it
 * is given: `struct name [bytes] { type member @offset; type bits : 3 @offset.bit; }`, which leaves room for what is not written down.
 */
import { Btf, BTF_INT_BOOL, BTF_INT_SIGNED, BtfKind, type BtfMember, type BtfType } from "./btf.ts";

const INTS: Readonly<Record<string, readonly [size: number, encoding: number]>> = {
  "char": [1, BTF_INT_SIGNED], "signed char": [1, BTF_INT_SIGNED], "unsigned char": [1, 0], "short": [2, BTF_INT_SIGNED], "unsigned short": [2, 0],
  "int": [4, BTF_INT_SIGNED], "unsigned int": [4, 0], "long": [8, BTF_INT_SIGNED], "unsigned long": [8, 0], "long long": [8, BTF_INT_SIGNED],
  "unsigned long long": [8, 0], "_Bool": [1, BTF_INT_BOOL],
};

const WORDS = new Set(["char", "short", "int", "long", "signed", "unsigned", "_Bool"]);

/** Types, all functions and all variables of `source`. Throws an Error at what it does not understand: the text is the program's own. */
export function btfOfC(source: string): Btf {
  return new Parser(source).run();
}

interface Open {
  kind: number;
  name: string;
  [key: string]: unknown;
}

class Parser {
  readonly #tokens: readonly string[];
  #at = 0;
  readonly #types: (Open | undefined)[] = [undefined];
  readonly #named = new Map<string, number>();
  readonly #pointers = new Map<number, number>();
  readonly #arrays = new Map<string, number>();
  #names = 0;

  constructor(source: string) {
    this.#tokens = source.replace(/\/\*[^]*?\*\//g, " ").match(/[A-Za-z_]\w*|\d\w*|\.\.\.|[^\s\w]/g) ?? [];
  }

  run(): Btf {
    while (this.#at < this.#tokens.length) this.#declaration();
    // Named structures that are only pointed to are forward declarations.
    for (const type of this.#types) {
      if (type === undefined || (type.kind !== BtfKind.STRUCT && type.kind !== BtfKind.UNION) || type["members"] !== undefined) continue;
      type["kflag"] = type.kind === BtfKind.UNION;
      type.kind = BtfKind.FWD;
      delete type["size"];
    }
    return new Btf(this.#types as unknown as readonly (BtfType | undefined)[]);
  }

  #peek = (): string => this.#tokens[this.#at] ?? "";
  #next = (): string => this.#tokens[this.#at++] ?? "";
  #skip(token: string): boolean {
    if (this.#peek() !== token) return false;
    this.#at++;
    return true;
  }
  #expect(token: string): void {
    if (!this.#skip(token)) throw new Error(`C types: expected '${token}' before '${this.#tokens.slice(this.#at, this.#at + 6).join(" ")}'`);
  }

  #add(type: Open): number {
    this.#types.push(type);
    return this.#types.length - 1;
  }

  #declaration(): void {
    if (this.#skip(";")) return;
    const isTypedef = this.#skip("typedef");
    const isExtern = this.#skip("extern");
    const base = this.#specifier();
    if (this.#skip(";")) return;
    const { name, type, proto } = this.#declarator(base);
    if (isTypedef) this.#named.set(`typedef ${name}`, this.#add({ kind: BtfKind.TYPEDEF, name, type }));
    else if (proto) this.#add({ kind: BtfKind.FUNC, name, type, linkage: 0 });
    else if (isExtern) this.#add({ kind: BtfKind.VAR, name, type, linkage: 1 });
    else throw new Error(`C types: variable ${name}`);
    this.#expect(";");
  }

  /** A type without its pointers; returns its id. */
  #specifier(): number {
    const isConst = this.#skip("const");
    let id: number;
    const token = this.#next();
    if (token === "struct" || token === "union") id = this.#composite(token);
    else if (token === "enum") id = this.#enum();
    else if (token === "void") id = 0;
    else if (WORDS.has(token)) {
      const words = [token];
      while (WORDS.has(this.#peek())) words.push(this.#next());
      id = this.#int(words);
    } else id = this.#named.get(`typedef ${token}`) ?? this.#unknown(token);
    if (!isConst) return id;
    return this.#unique(`const ${id}`, () => ({ kind: BtfKind.CONST, name: "", type: id }));
  }

  #unknown(token: string): never {
    throw new Error(`C types: unknown type '${token}' before '${this.#tokens.slice(this.#at, this.#at + 6).join(" ")}'`);
  }

  #unique(key: string, make: () => Open): number {
    let id = this.#named.get(key);
    if (id === undefined) {
      id = this.#add(make());
      this.#named.set(key, id);
    }
    return id;
  }

  #int(words: readonly string[]): number {
    const unsigned = words.includes("unsigned");
    const longs = words.filter((word) => word === "long").length;
    const base = words.includes("_Bool") ? "_Bool" : words.includes("char") ? "char" : words.includes("short") ? "short" : longs === 2 ? "long long" : longs === 1 ? "long" : "int";
    const name = unsigned ? `unsigned ${base}` : words.includes("signed") && base === "char" ? "signed char" : base;
    const [size, encoding] = INTS[name]!;
    return this.#unique(`int ${name}`, () => ({ kind: BtfKind.INT, name, size, encoding, bits: size * 8, bitOffset: 0 }));
  }

  #composite(word: string): number {
    const kind = word === "struct" ? BtfKind.STRUCT : BtfKind.UNION;
    const name = this.#peek() === "{" || this.#peek() === "[" ? "" : this.#next();
    const id = this.#unique(`${word} ${name === "" ? `#${this.#names++}` : name}`, () => ({ kind, name, size: 0 }));
    let given: number | undefined;
    if (this.#skip("[")) {
      given = Number(this.#next());
      this.#expect("]");
    }
    if (!this.#skip("{")) return id;
    const members: BtfMember[] = [];
    let bits = 0;
    let align = 1;
    let size = 0;
    const start = (): number => (kind === BtfKind.UNION ? 0 : bits);
    const place = (member: string, type: number): void => {
      const fixed = this.#offset();
      if (fixed !== undefined) return void members.push({ name: member, type, offset: fixed, bits: 0 });
      const own = this.#align(type);
      const offset = Math.ceil(start() / (own * 8)) * own * 8;
      members.push({ name: member, type, offset, bits: 0 });
      bits = offset + this.#size(type) * 8;
      align = Math.max(align, own);
      size = Math.max(size, bits);
    };
    while (!this.#skip("}")) {
      const base = this.#specifier();
      if (this.#peek() === ";" || this.#peek() === "@") {
        place("", base);
        this.#expect(";");
        continue;
      }
      do {
        const { name: member, type } = this.#declarator(base);
        if (!this.#skip(":")) {
          place(member, type);
          continue;
        }
        const width = Number(this.#next());
        const fixed = this.#offset();
        if (fixed !== undefined) {
          members.push({ name: member, type, offset: fixed, bits: width });
          continue;
        }
        const unit = this.#size(type) * 8;
        if (width === 0) {
          bits = Math.ceil(bits / unit) * unit;
          continue;
        }
        let offset = start();
        // A bit field never crosses a boundary of its own type.
        if (Math.floor(offset / unit) !== Math.floor((offset + width - 1) / unit)) offset = Math.ceil(offset / unit) * unit;
        if (member !== "") {
          members.push({ name: member, type, offset, bits: width });
          align = Math.max(align, this.#align(type));
        }
        bits = offset + width;
        size = Math.max(size, bits);
      } while (this.#skip(","));
      this.#expect(";");
    }
    const open = this.#types[id]!;
    open["members"] = members;
    open["size"] = given ?? Math.ceil(size / 8 / align) * align;
    open["align"] = align;
    return id;
  }

  /** `@bytes` or `@bytes.bits`, in bits. */
  #offset(): number | undefined {
    if (!this.#skip("@")) return undefined;
    const bytes = Number(this.#next());
    return bytes * 8 + (this.#skip(".") ? Number(this.#next()) : 0);
  }

  #enum(): number {
    const name = this.#peek() === "{" ? "" : this.#next();
    const id = this.#unique(`enum ${name === "" ? `#${this.#names++}` : name}`, () => ({ kind: BtfKind.ENUM, name, size: 4, kflag: false, values: [] }));
    if (!this.#skip("{")) return id;
    const values: { name: string; value: bigint }[] = [];
    let value = 0n;
    while (!this.#skip("}")) {
      const own = this.#next();
      if (this.#skip("=")) {
        const negative = this.#skip("-");
        value = BigInt(this.#next());
        if (negative) value = -value;
      }
      values.push({ name: own, value });
      value++;
      this.#skip(",");
    }
    this.#types[id]!["values"] = values;
    this.#types[id]!["kflag"] = values.some((entry) => entry.value < 0n);
    return id;
  }

  /** Pointers, name, arrays, parameters: `*name[3]`, `(*name)(int)`, `name(int)`. */
  #declarator(base: number): { readonly name: string; readonly type: number; readonly proto: boolean } {
    let type = base;
    while (this.#skip("*")) type = this.#pointer(type);
    if (this.#skip("(")) {
      this.#expect("*");
      const name = this.#next();
      this.#expect(")");
      return { name, type: this.#pointer(this.#proto(type)), proto: false };
    }
    const name = /^\w/.test(this.#peek()) ? this.#next() : "";
    if (this.#peek() === "(") return { name, type: this.#proto(type), proto: true };
    const counts: number[] = [];
    while (this.#skip("[")) {
      counts.push(this.#peek() === "]" ? 0 : Number(this.#next()));
      this.#expect("]");
    }
    for (const count of counts.reverse()) {
      const element = type;
      const index = this.#int(["unsigned", "int"]);
      const key = `${element}x${count}`;
      type = this.#arrays.get(key) ?? this.#add({ kind: BtfKind.ARRAY, name: "", element, index, count });
      this.#arrays.set(key, type);
    }
    return { name, type, proto: false };
  }

  #proto(type: number): number {
    this.#expect("(");
    const params: { name: string; type: number }[] = [];
    while (!this.#skip(")")) {
      if (this.#skip("...")) params.push({ name: "", type: 0 });
      else {
        const base = this.#specifier();
        const { name, type: own } = this.#declarator(base);
        if (own !== 0) params.push({ name, type: own });
      }
      this.#skip(",");
    }
    return this.#add({ kind: BtfKind.FUNC_PROTO, name: "", type, params });
  }

  #pointer(type: number): number {
    let id = this.#pointers.get(type);
    if (id === undefined) {
      id = this.#add({ kind: BtfKind.PTR, name: "", type });
      this.#pointers.set(type, id);
    }
    return id;
  }

  #size(id: number): number {
    const type = this.#types[id]!;
    switch (type.kind) {
      case BtfKind.PTR:
        return 8;
      case BtfKind.ARRAY:
        return this.#size(type["element"] as number) * (type["count"] as number);
      case BtfKind.TYPEDEF:
      case BtfKind.CONST:
        return this.#size(type["type"] as number);
      default:
        if (type.kind !== BtfKind.INT && type.kind !== BtfKind.ENUM && type["members"] === undefined) throw new Error(`C types: ${type.name} is not complete`);
        return type["size"] as number;
    }
  }

  #align(id: number): number {
    const type = this.#types[id]!;
    switch (type.kind) {
      case BtfKind.ARRAY:
        return this.#align(type["element"] as number);
      case BtfKind.TYPEDEF:
      case BtfKind.CONST:
        return this.#align(type["type"] as number);
      case BtfKind.STRUCT:
      case BtfKind.UNION:
        return type["align"] as number;
      default:
        return Math.min(8, this.#size(id));
    }
  }
}
