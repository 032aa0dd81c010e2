/** `kubewire up` in Deno: requests, watches and streams of the real kubectl. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "kubewire-deno-"));
const kubeconfig = join(folder, "kubeconfig");
let server: ChildProcess;

const deno = (...args: string[]): ChildProcess => spawn("node_modules/.bin/deno", ["run", "-A", "dist/cli.js", "up", "--port", "0", "--kubeconfig", kubeconfig, "--token", "T", ...args], { env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" } });

/** What it says until `enough`, or to its end. */
const said = (child: ChildProcess, enough: (text: string) => boolean): Promise<string> =>
  new Promise((resolve) => {
    let text = "";
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
      if (enough(text)) resolve(text);
    };
    child.stdout!.on("data", take);
    child.stderr!.on("data", take);
    child.once("exit", () => resolve(text));
  });

function kubectl(args: readonly string[], input = "", extra: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile("kubectl", args, { env: { ...process.env, KUBECONFIG: kubeconfig, ...extra }, timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`kubectl ${args.join(" ")}: ${stderr}`));
    });
    child.stdin!.end(input);
  });
}

beforeAll(async () => {
  expect(existsSync("dist/cli.js"), "dist/cli.js: npm run build").toBe(true);
  server = deno("--nodes", "1");
  expect(await said(server, (text) => text.split("\n").includes("ready"))).toContain("ready");
}, 90_000);

afterAll(async () => {
  const ended = new Promise<number | null>((resolve) => server.once("exit", resolve));
  server.kill("SIGTERM");
  expect(await ended).toBe(0);
  rmSync(folder, { recursive: true });
}, 60_000);

test("objects, and waiting for them", async () => {
  expect(await kubectl(["create", "deployment", "web", "--image=nginx:1.27", "--replicas=2"])).toBe("deployment.apps/web created\n");
  expect(await kubectl(["rollout", "status", "deployment/web", "--timeout=60s"])).toContain('deployment "web" successfully rolled out');
  expect(await kubectl(["run", "box", "--image=busybox", "--", "sleep", "infinity"])).toBe("pod/box created\n");
  expect(await kubectl(["wait", "--for=condition=Ready", "pod/box", "--timeout=60s"])).toBe("pod/box condition met\n");
}, 120_000);

test.each([["WebSockets", {}], ["SPDY", { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: "false", KUBECTL_PORT_FORWARD_WEBSOCKETS: "false" }]])("exec and port-forward by %s", async (_, extra) => {
  expect(await kubectl(["exec", "-i", "box", "--", "cat"], "through\n", extra)).toBe("through\n");
  await expect(kubectl(["exec", "box", "--", "false"], "", extra)).rejects.toThrow(/command terminated with exit code 1/);
  const forward = spawn("kubectl", ["port-forward", "deployment/web", ":80"], { env: { ...process.env, KUBECONFIG: kubeconfig, ...extra } });
  try {
    const port = /127\.0\.0\.1:(\d+)/.exec(await said(forward, (text) => /127\.0\.0\.1:\d+/.test(text)))![1]!;
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain("Welcome to nginx");
  } finally {
    forward.kill();
  }
}, 120_000);

test("client certificates are refused by name", async () => {
  const file = join(folder, "clients.crt");
  writeFileSync(file, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
  const other = deno("--nodes", "0", "--controllers", "none", "--client-ca-file", file);
  expect(await said(other, () => false)).toContain("error: client certificates: Deno's servers do not ask for them; use tokens, or Node\n");
}, 60_000);
