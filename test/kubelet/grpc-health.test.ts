/** The kubelet's gRPC probe against a server that Node's own HTTP/2 makes: Huffman codes, indexed headers, trailers. */
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import { connect, type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SocketError, type Sockets, type TcpStream } from "../../src/kernel/sockets.ts";
import { checkHealth } from "../../src/kubelet/complete/grpc-health.ts";
import { newHeaderReader, writeHeader } from "../../src/kubelet/complete/hpack.ts";

let server: Http2Server;
let port = 0;

/** Sockets of this machine, as far as the probe uses them. */
const sockets = {
  connect: ({ address, port: at }: { address: string; port: number }) => new Promise<TcpStream>((resolve, reject) => {
    const socket = connect(at, address);
    const chunks: Uint8Array[] = [];
    let over = false;
    let wake = (): void => undefined;
    socket.on("data", (chunk: Uint8Array) => { chunks.push(chunk); wake(); });
    socket.on("end", () => { over = true; wake(); });
    socket.once("error", () => reject(new SocketError("ECONNREFUSED", "connect")));
    socket.once("connect", () => resolve({
      local: { address: "", port: 0 }, remote: { address, port: at },
      async read() {
        while (chunks.length === 0 && !over) await new Promise<void>((r) => (wake = r));
        return chunks.shift();
      },
      write: (data: Uint8Array) => new Promise<void>((r) => socket.write(data, () => r())),
      shutdown: () => void socket.end(), close: () => void socket.destroy(),
    }));
  }),
} as unknown as Sockets;

beforeAll(async () => {
  server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    const body: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => body.push(chunk));
    stream.on("end", () => {
      const service = Buffer.concat(body).subarray(7).toString();
      if (headers[":path"] !== "/grpc.health.v1.Health/Check") throw new Error(String(headers[":path"]));
      const answer = (code: string, message: string, status?: number): void => {
        stream.respond({ ":status": 200, "content-type": "application/grpc", "x-long": "some rather long value: ABC~!@#$%^&*()_+ with many different bytes" }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": code, "grpc-message": message }));
        stream.end(status === undefined ? Buffer.alloc(0) : Buffer.from([0, 0, 0, 0, 2, 8, status]));
      };
      if (service === "") answer("0", "", 1);
      else if (service === "down") answer("0", "", 2);
      else if (service === "none") answer("12", "unknown service grpc.health.v1.Health");
      else answer("5", "unknown service");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise<void>((resolve) => { server.close(() => resolve()); }));

const check = (service: string, at = port): ReturnType<typeof checkHealth> => checkHealth(sockets, "127.0.0.1", at, service, 1000, new AbortController().signal);

test("what the server says, in upstream's words", async () => {
  expect(await check("")).toEqual({ healthy: true, output: "service healthy" });
  expect(await check("down")).toEqual({ healthy: false, output: 'service unhealthy (responded with "NOT_SERVING")' });
  expect(await check("none")).toEqual({ healthy: false, output: "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): unknown service grpc.health.v1.Health" });
  expect(await check("other")).toEqual({ healthy: false, output: "error: health rpc probe failed: rpc error: code = NotFound desc = unknown service" });
  expect(await check("", 1)).toEqual({ healthy: false, output: 'timeout: failed to connect service "127.0.0.1:1" within 1s: context deadline exceeded' });
});

test("the examples of RFC 7541, appendix C.4: Huffman codes and the dynamic table", () => {
  const read = newHeaderReader();
  const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g)!.map((byte) => Number.parseInt(byte, 16)));
  expect(read(hex("828684418cf1e3c2e5f23a6ba0ab90f4ff"))).toEqual([[":method", "GET"], [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"]]);
  expect(read(hex("828684be5886a8eb10649cbf"))).toEqual([[":method", "GET"], [":scheme", "http"], [":path", "/"], [":authority", "www.example.com"], ["cache-control", "no-cache"]]);
  expect(read(hex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"))).toEqual([[":method", "GET"], [":scheme", "https"], [":path", "/index.html"], [":authority", "www.example.com"], ["custom-key", "custom-value"]]);
  expect(newHeaderReader()(writeHeader("a", "x".repeat(300)))).toEqual([["a", "x".repeat(300)]]);
});
