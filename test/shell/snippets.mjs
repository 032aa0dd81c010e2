/** Snippets of a text: each begins with `- ` at the beginning of a line. */
export const snippetsOf = (text) => text.split(/^- /m).slice(1).map((snippet) => snippet.replace(/\n$/, ""));
