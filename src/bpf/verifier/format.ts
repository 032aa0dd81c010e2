// Format strings of bpf_snprintf and its kin: kernel/bpf/helpers.c, bpf_bprintf_prepare, as far as it refuses them.

const isDigit = (char: string | undefined): boolean => char !== undefined && char >= "0" && char <= "9";
const isSpaceOrPunctuation = (char: string | undefined): boolean =>
  char === undefined || /[\s!-/:-@[-`{-~]/.test(char);

/** Whether the kernel refuses `format` with `count` arguments of 8 bytes. */
export function checkFormat(format: string, count: number): boolean {
  let used = 0;
  for (let i = 0; i < format.length; i++) {
    const code = format.charCodeAt(i);
    const char = format[i]!;
    if ((code < 0x20 || code > 0x7e) && !/\s/.test(char)) return true;
    if (char !== "%") continue;
    if (format[i + 1] === "%") {
      i++;
      continue;
    }
    if (used >= count) return true;
    i++;
    while (format[i] === "0" || format[i] === "+" || format[i] === "-" || format[i] === " ") i++;
    if (format[i]! >= "1" && format[i]! <= "9") while (isDigit(format[i])) i++;
    if (format[i] === "p") {
      const kind = format[i + 1];
      if ((kind === "k" || kind === "u") && format[i + 2] === "s") {
        i += 2;
      } else if (isSpaceOrPunctuation(kind) || kind === "K" || kind === "x" || kind === "s" || kind === "S") {
        if (!isSpaceOrPunctuation(kind)) i++;
      } else if ((kind === "i" || kind === "I") && (format[i + 2] === "4" || format[i + 2] === "6")) {
        i += 2;
      } else {
        return true;
      }
      used++;
      continue;
    }
    if (format[i] === "s") {
      used++;
      continue;
    }
    if (format[i] === "c") {
      used++;
      continue;
    }
    if (format[i] === "l") {
      i++;
      if (format[i] === "l") i++;
    }
    if (!/[iduxX]/.test(format[i] ?? "")) return true;
    used++;
  }
  return used !== count;
}
