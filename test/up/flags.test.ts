/** kube-apiserver's flags, as pflag reads them and as the server takes them. */
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { setUpApiServer } from "../../src/kube-apiserver/complete/options.ts";
import { main } from "../../src/cli/main.ts";
import { apiServerFlags, flagsOf, parseDuration, parseFlags, type FlagValue } from "../../src/kube-apiserver/complete/flags.ts";
import { parseTokenFile } from "../../src/kube-apiserver/complete/authentication.ts";
import { nodeHost } from "../../runtimes/node/host.ts";

const FLAGS = apiServerFlags();
const parse = (line: string): Map<string, FlagValue> => parseFlags(line.split(" "), FLAGS).values;

test("values of every type, with a blank or an equals sign", () => {
  expect(Object.fromEntries(parse("--secure-port 7443 --anonymous-auth=false --profiling --request-timeout=1m30s --bind-address 10.0.0.1 --goaway-chance .5"))).toEqual({
    "secure-port": 7443, "anonymous-auth": false, profiling: true, "request-timeout": 90_000, "bind-address": "10.0.0.1", "goaway-chance": 0.5,
  });
  expect(parse("--authorization-mode=Node,RBAC --authorization-mode AlwaysDeny").get("authorization-mode")).toEqual(["Node", "RBAC", "AlwaysDeny"]);
  expect(parse("--runtime-config api/all=true,apps/v1 -v2")).toEqual(new Map<string, FlagValue>([["runtime-config", new Map([["api/all", "true"], ["apps/v1", ""]])], ["v", 2]]));
  expect(parse("-v 4").get("v")).toBe(4);
  expect(parse("--secure-port 0x1bb").get("secure-port")).toBe(443);
});

test.each([
  ["--insecure-port 8080", "unknown flag: --insecure-port"],
  ["--kubelet-https", "unknown flag: --kubelet-https"],
  ["--basic-auth-file=x", "unknown flag: --basic-auth-file"],
  ["-x", "unknown shorthand flag: 'x' in -x"],
  ["--=x", "bad flag syntax: --=x"],
  ["--secure-port", "flag needs an argument: --secure-port"],
  ["-v", "flag needs an argument: 'v' in -v"],
  ["--secure-port x", 'invalid argument "x" for "--secure-port" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  ["-v x", 'invalid argument "x" for "-v, --v" flag: strconv.ParseInt: parsing "x": invalid syntax'],
  ["--secure-port 99999999999999999999", 'invalid argument "99999999999999999999" for "--secure-port" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range'],
  ["--anonymous-auth=maybe", 'invalid argument "maybe" for "--anonymous-auth" flag: strconv.ParseBool: parsing "maybe": invalid syntax'],
  ["--request-timeout 5", 'invalid argument "5" for "--request-timeout" flag: time: missing unit in duration "5"'],
  ["--request-timeout 5y", 'invalid argument "5y" for "--request-timeout" flag: time: unknown unit "y" in duration "5y"'],
  ["--request-timeout soon", 'invalid argument "soon" for "--request-timeout" flag: time: invalid duration "soon"'],
  ["--bind-address here", 'invalid argument "here" for "--bind-address" flag: failed to parse IP: "here"'],
  ["--goaway-chance x", 'invalid argument "x" for "--goaway-chance" flag: strconv.ParseFloat: parsing "x": invalid syntax'],
  ["--oidc-issuer-url https://x", "--oidc-issuer-url is a flag of kube-apiserver v1.32 whose thing is not built here yet"],
  ["--etcd-servers http://x", "--etcd-servers is a flag of kube-apiserver v1.32 whose thing is not built here yet"],
])("%s", (line, message) => {
  expect(() => parse(line)).toThrow(new Error(message));
});

test("durations", () => {
  expect([parseDuration("1h2m3.5s"), parseDuration("0"), parseDuration("-1.5h"), parseDuration("10ms"), parseDuration("1us")]).toEqual([3_723_500, 0, -5_400_000, 10, 0.001]);
});

test("flags as an object", () => {
  expect(flagsOf({ "secure-port": 8443, "anonymous-auth": false, "authorization-mode": ["Node", "RBAC"], "request-timeout": "1s", profiling: undefined }, FLAGS)).toEqual(
    new Map<string, FlagValue>([["secure-port", 8443], ["anonymous-auth", false], ["authorization-mode", ["Node", "RBAC"]], ["request-timeout", 1000]]),
  );
  expect(() => flagsOf({ "insecure-port": 1 }, FLAGS)).toThrow("unknown flag: --insecure-port");
  expect(() => flagsOf({ "secure-port": true }, FLAGS)).toThrow('invalid argument "true" for "--secure-port" flag');
});

const host = {
  readFile: (path: string): Promise<Uint8Array> => (path === "there" ? Promise.resolve(new TextEncoder().encode("nothing")) : Promise.reject(Object.assign(new Error(path), { code: "ENOENT" }))),
};

test.each([
  ["--secure-port 0", "--secure-port 0 must be between 1 and 65535, inclusive. It cannot be turned off with 0"],
  ["--max-requests-inflight -1", "--max-requests-inflight can not be negative value"],
  ["--max-requests-inflight -1 --request-timeout -1s", "[--max-requests-inflight can not be negative value, --request-timeout can not be negative value]"],
  ["--authorization-mode Nobody", 'authorization-mode "Nobody" is not a valid mode'],
  ["--enable-admission-plugins Nothing", 'enable-admission-plugins plugin "Nothing" is unknown'],
  ["--disable-admission-plugins Priority", "--disable-admission-plugins: Priority cannot be disabled here yet"],
  ["--token-auth-file nosuch", "open nosuch: no such file or directory"],
  ["--client-ca-file nosuch", "unable to load client CA provider: open nosuch: no such file or directory"],
  ["--client-ca-file there", "unable to load client CA provider: data does not contain any valid RSA or ECDSA certificates"],
  ["--tls-cert-file nosuch --tls-private-key-file x", "unable to load server certificate: open nosuch: no such file or directory"],
  ["--feature-gates X", 'invalid argument "X" for "--feature-gates" flag: missing bool value for X'],
  ["--feature-gates X=y", 'invalid argument "X=y" for "--feature-gates" flag: invalid value of X: y, err: strconv.ParseBool: parsing "y": invalid syntax'],
  ["--runtime-config apps/v1=false", "--runtime-config: apps/v1=false: what is stable is served here and nothing else; that cannot be changed yet"],
  ["--service-cluster-ip-range 10.0.0.0", '--service-cluster-ip-range: "10.0.0.0": an IPv4 range of at least 16 addresses in CIDR notation'],
])("refused: %s", async (line, message) => {
  await expect(setUpApiServer(parse(line), host, "T", 1)).rejects.toThrow(new Error(message));
});

test("what is not there in full is said", async () => {
  const { warnings } = await setUpApiServer(parse("--authorization-mode=Node,RBAC --enable-admission-plugins=EventRateLimit --max-requests-inflight=10 --runtime-config=api/all=true"), host, "T", 1);
  expect(warnings).toHaveLength(3);
  expect((await setUpApiServer(parse("--enable-admission-plugins=Priority --runtime-config=api/ga=true --service-cluster-ip-range=10.0.0.0/12"), host, "T", 1))).toMatchObject({ warnings: [], serving: { serviceCidr: "10.0.0.0/12" } });
});

test("a file of tokens", () => {
  expect([...parseTokenFile('abc,jane,1,"devs,ops"\n\ndef,joe,2\r\n"g""h",x,3,\n')]).toEqual([
    ["abc", { name: "jane", uid: "1", groups: ["devs", "ops"] }], ["def", { name: "joe", uid: "2", groups: [] }], ['g"h', { name: "x", uid: "3", groups: [""] }],
  ]);
  expect(() => parseTokenFile("a,b")).toThrow("token file must have at least 3 columns (token, user name, user uid), found 2");
});

test("a port that is taken ends the command", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  let errors = "";
  const { port } = taken.address() as AddressInfo;
  expect(await main({ ...nodeHost(["up", "--nodes", "0", "--controllers", "none", "--port", String(port)]), onStop: () => {}, stderr: (text) => void (errors += text) })).toBe(1);
  expect(errors).toContain("EADDRINUSE");
  taken.close();
});

test("the command says it on stderr and fails", async () => {
  let errors = "";
  expect(await main({ ...nodeHost(["up", "--insecure-port", "8080"]), stderr: (text) => void (errors += text) })).toBe(1);
  expect(errors).toBe("error: unknown flag: --insecure-port\n");
  let help = "";
  expect(await main({ ...nodeHost(["up", "--help"]), stdout: (text) => void (help += text) })).toBe(0);
  expect(help).toMatch(/--nodes <n> [^]*--client-ca-file/);
});
