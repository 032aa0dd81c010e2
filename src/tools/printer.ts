/**
 * What iproute2 prints, as text or as JSON (lib/json_print.c and lib/json_writer.c): the same calls in the same order give either.
 */
export type JsonValue = string | number | boolean | null;

export class Printer {
  readonly json: boolean;
  readonly #pretty: boolean;
  #text = "";
  #out = "";
  #depth = 0;
  /** Whether the next item of the open object or array needs a comma. */
  #comma = false;

  constructor(json: boolean, pretty: boolean) {
    this.json = json;
    this.#pretty = pretty;
  }

  /** PRINT_ANY: `key` with `value` in JSON; in text what `text` says. */
  any(key: string | undefined, value: JsonValue, text: string): void {
    if (this.json) this.js(key, value);
    else this.#text += text;
  }
  /** PRINT_JSON */
  js(key: string | undefined, value: JsonValue): void {
    if (!this.json) return;
    this.#name(key);
    this.#out += JSON.stringify(value);
    this.#comma = true;
  }
  /** A number with two decimals, in JSON too. */
  fixed(key: string, value: number, text: string): void {
    if (!this.json) {
      this.#text += text;
      return;
    }
    this.#name(key);
    this.#out += value.toFixed(2);
    this.#comma = true;
  }
  /** PRINT_FP */
  fp(text: string): void {
    if (!this.json) this.#text += text;
  }
  object(key: string | undefined, run: () => void): void {
    this.#nested(key, "{", "}", run);
  }
  array(key: string | undefined, run: () => void): void {
    this.#nested(key, "[", "]", run);
  }
  /** All that was printed; JSON ends with a line break. */
  take(): string {
    const text = this.json ? (this.#out === "" ? "" : `${this.#out}\n`) : this.#text;
    this.#text = "";
    this.#out = "";
    return text;
  }

  #nested(key: string | undefined, open: string, close: string, run: () => void): void {
    if (!this.json) return run();
    this.#name(key);
    this.#out += open;
    this.#depth++;
    this.#comma = false;
    if (this.#pretty && open === "[") this.#out += " ";
    const before = this.#out.length;
    run();
    this.#depth--;
    if (this.#pretty && this.#out.length > before) this.#out += open === "[" ? " " : this.#line();
    this.#out += close;
    this.#comma = true;
  }

  #line(): string {
    return `\n${"    ".repeat(this.#depth)}`;
  }

  #name(key: string | undefined): void {
    if (this.#comma) this.#out += ",";
    this.#comma = false;
    if (key === undefined) return;
    if (this.#pretty) this.#out += this.#line();
    this.#out += `${JSON.stringify(key)}:${this.#pretty ? " " : ""}`;
  }
}
