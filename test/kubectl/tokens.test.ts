/** Tokens of service accounts: whoever has the server's published key can verify them. */
import { createPublicKey, createVerify } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type UpServer } from "./server.ts";

let server: UpServer;

beforeAll(async () => {
  server = await startServer({ nodes: 0, controllers: "none" });
  await server.kubectl("create", "serviceaccount", "robot");
}, 60_000);

afterAll(() => server.stop(), 60_000);

const parsed = (part: string): Record<string, unknown> => JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;

test("the published key verifies a token, and nothing else does", async () => {
  const token = (await server.kubectl("create", "token", "robot", "--duration=1h")).trim();
  const [header = "", payload = "", signature = ""] = token.split(".");
  const { keys } = JSON.parse(await server.kubectl("get", "--raw", "/openid/v1/jwks")) as { keys: (Record<string, string> & { kid: string; use: string; alg: string })[] };
  expect(keys).toHaveLength(1);
  const [key] = keys;
  expect(parsed(header)).toEqual({ alg: "RS256", kid: key!.kid });
  expect([key!.kty, key!.use, key!.alg, key!["e"]]).toEqual(["RSA", "sig", "RS256", "AQAB"]);
  const verifies = (text: string): boolean => createVerify("RSA-SHA256").update(text).verify(createPublicKey({ key: key!, format: "jwk" }), Buffer.from(signature, "base64url"));
  expect(verifies(`${header}.${payload}`)).toBe(true);
  expect(verifies(`${header}.${payload.slice(0, -1)}A`)).toBe(false);
  expect(parsed(payload)).toMatchObject({ iss: "https://kubernetes.default.svc", sub: "system:serviceaccount:default:robot", "kubernetes.io": { namespace: "default", serviceaccount: { name: "robot" } } });
  const openid = JSON.parse(await server.kubectl("get", "--raw", "/.well-known/openid-configuration")) as Record<string, unknown>;
  expect(openid).toMatchObject({ issuer: "https://kubernetes.default.svc", id_token_signing_alg_values_supported: ["RS256"] });
}, 60_000);

test("its bearer is the service account; one that was changed is nobody", async () => {
  const token = (await server.kubectl("create", "token", "robot")).trim();
  const whoami = (text: string): ReturnType<UpServer["run"]> => server.run(["--kubeconfig=/dev/null", "-s", server.url, "--insecure-skip-tls-verify", "--token", text, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
  expect((await whoami(token)).stdout).toBe("system:serviceaccount:default:robot");
  const [header = "", payload = "", signature = ""] = token.split(".");
  const other = Buffer.from(JSON.stringify({ ...parsed(payload), sub: "system:serviceaccount:kube-system:robot" })).toString("base64url");
  for (const forged of [`${header}.${other}.${signature}`, `${header}.${payload}.AAAA`, `${header}.${payload}.`, `${Buffer.from('{"alg":"none"}').toString("base64url")}.${payload}.${signature}`, "a.b.c"])
    expect((await whoami(forged)).stderr).toContain("You must be logged in to the server");
}, 60_000);
