/** The one logger: structured, injected, silent by default. Levels and keys as klog's structured logging words them. */
export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A logger that adds these fields to every line. */
  with(fields: Readonly<Record<string, unknown>>): Logger;
}

export const silent: Logger = {
  info() {},
  error() {},
  with: () => silent,
};
