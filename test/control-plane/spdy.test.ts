/** The server's end of SPDY/3.1 against zlib's own header blocks. */
import { constants, createDeflate, createInflate } from "node:zlib";
import { expect, test } from "vitest";
import { createSpdyConnection, DICTIONARY } from "../../src/kube-apiserver/subresources/spdy.ts";

const u32 = (n: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(n);
  return out;
};
const block = (headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.concat([u32(Object.keys(headers).length), ...Object.entries(headers).flatMap(([k, v]) => [u32(k.length), Buffer.from(k), u32(v.length), Buffer.from(v)])]);
const synStream = (id: number, compressed: Buffer): Buffer => {
  const payload = Buffer.concat([u32(id), u32(0), Buffer.from([0, 0]), compressed]);
  return Buffer.concat([Buffer.from([0x80, 3, 0, 1]), u32(payload.length), payload]);
};

test("the dictionary is SPDY/3's", () => {
  let a = 1, b = 0;
  for (const byte of DICTIONARY) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  expect((b * 65536 + a).toString(16)).toBe("e3c6a7c2");
});

test("streams open with the headers of one compressed stream, however the bytes come", async () => {
  const deflate = createDeflate({ dictionary: DICTIONARY });
  const out: Buffer[] = [];
  deflate.on("data", (chunk: Buffer) => out.push(chunk));
  const compress = (bytes: Buffer): Promise<Buffer> => new Promise((resolve) => {
    deflate.write(bytes);
    deflate.flush(constants.Z_SYNC_FLUSH, () => setTimeout(() => resolve(Buffer.concat(out.splice(0))), 10));
  });
  const opened: unknown[] = [];
  const data: string[] = [];
  const written: Buffer[] = [];
  const connection = createSpdyConnection((bytes) => written.push(Buffer.from(bytes)), (stream) => {
    opened.push([stream.id, stream.headers]);
    stream.reply();
    stream.on({ data: (bytes) => data.push(Buffer.from(bytes).toString()), end: () => data.push("end"), reset: () => data.push("reset") });
  });
  const error = { streamtype: "error", port: "80", requestid: "0" };
  const sent = Buffer.concat([synStream(1, await compress(block(error))), synStream(3, await compress(block({ ...error, streamtype: "data" }))), u32(3), u32(5), Buffer.from("hello"), u32(3), Buffer.from([1, 0, 0, 0])]);
  for (const byte of sent) connection.take(Uint8Array.of(byte));
  expect(opened).toEqual([[1, error], [3, { ...error, streamtype: "data" }]]);
  expect(data).toEqual(["hello", "end"]);
  // Both replies are SYN_REPLYs whose blocks one inflater reads.
  const inflate = createInflate({ dictionary: DICTIONARY });
  const read: Buffer[] = [];
  inflate.on("data", (chunk: Buffer) => read.push(chunk));
  for (const frame of written) {
    expect([frame.readUInt16BE(0), frame.readUInt16BE(2)]).toEqual([0x8003, 2]);
    inflate.write(frame.subarray(12));
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(Buffer.concat(read)).toEqual(Buffer.alloc(8));
});
