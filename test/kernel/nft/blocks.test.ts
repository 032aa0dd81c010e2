/** What may end a statement in a block, as the real nft 1.0.6 says it, and Debian's own file. */
import { beforeAll, expect, test } from "vitest";
import { NftError, nftOf } from "../../../src/kernel/nft/index.ts";
import { createTestNode, kernelModule } from "../harness.ts";

beforeAll(() => kernelModule(), 240_000);

const END = "syntax error, unexpected '}', expecting newline or semicolon";
const CASES: readonly (readonly [text: string, answer: string])[] = [
  ["table ip t { chain c { counter } }\n",
    `/dev/stdin:1:32-32: Error: ${END}\ntable ip t { chain c { counter } }\n                               ^\n/dev/stdin:2:1-1: Error: syntax error, unexpected end of file\ntable ip t { chain c { counter } }\n^\n`],
  ["table ip t {\n chain c {\n counter }\n}\n",
    `/dev/stdin:3:10-10: Error: ${END}\n counter }\n         ^\n/dev/stdin:5:1-1: Error: syntax error, unexpected end of file\n}\n^\n`],
  ["table ip t {\n chain c {\n type filter hook input priority 0 }\n}\n",
    `/dev/stdin:3:36-36: Error: ${END}\n type filter hook input priority 0 }\n                                   ^\n/dev/stdin:5:1-1: Error: syntax error, unexpected end of file\n}\n^\n`],
  ["table ip t {\n set s { type ipv4_addr }\n}\n",
    `/dev/stdin:2:25-25: Error: ${END} or .\n set s { type ipv4_addr }\n                        ^\n/dev/stdin:4:1-1: Error: syntax error, unexpected end of file\n}\n^\n`],
  ["table ip t {\n chain c { counter; }\n}\n", ""],
  ["table ip t {\n set s { type ipv4_addr; elements = { 1.2.3.4 } }\n}\n", ""],
  ["table ip t {\n counter k { packets 1 bytes 2 }\n}\n", ""],
];

test("a block's statements end as nft wants them to end", async () => {
  const { kernel } = await createTestNode();
  for (const [text, answer] of CASES) {
    let got = "";
    try {
      nftOf(kernel.host).run(text, { source: "/dev/stdin" });
    } catch (error) {
      if (!(error instanceof NftError)) throw error;
      got = error.message;
    }
    expect(got).toBe(answer);
  }
});

test("Debian's /etc/nftables.conf loads", async () => {
  const { kernel } = await createTestNode();
  const chain = (name: string): string => `\tchain ${name} {\n\t\ttype filter hook ${name} priority filter;\n\t}\n`;
  const nft = nftOf(kernel.host);
  nft.run(`#!/usr/sbin/nft -f\n\nflush ruleset\n\ntable inet filter {\n${chain("input")}${chain("forward")}${chain("output")}}\n`);
  expect(nft.list()).toBe(`table inet filter {\n${["input", "forward", "output"].map((name) => chain(name).replace("filter;\n", "filter; policy accept;\n")).join("\n")}}\n`);
});
