/** Admission webhooks, answered in process; the words are those of upstream's sources. */
import { expect, test } from "vitest";
import { complete } from "../../src/kube-apiserver/complete/index.ts";
import { createApiServer } from "../../src/kube-apiserver/server.ts";
import { silent } from "../../src/log.ts";
import { TestClock, testRandom } from "./test-clock.ts";

/* eslint-disable @typescript-eslint/no-explicit-any */
type Any = any;
type Answer = (review: Any) => Any;

const REGISTRATION = "/apis/admissionregistration.k8s.io/v1";
const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const RULE = { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE", "UPDATE", "DELETE"], resources: ["configmaps"] };

/** A server whose webhooks are `answers` by their paths. */
function setUp(answers: Readonly<Record<string, Answer | "hang" | "garbage" | "refuse">>) {
  const clock = new TestClock();
  const seen: string[] = [];
  const webhookFetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const answer = answers[pathname.slice(1)]!;
    const review = (await request.json()) as Any;
    seen.push(`${pathname.slice(1)} ${review.request.operation} ${review.request.name}`);
    if (answer === "hang") return new Promise<never>(() => {});
    if (answer === "garbage") return new Response("<html>");
    if (answer === "refuse") return new Response("", { status: 502 });
    return Response.json({ apiVersion: review.apiVersion, kind: "AdmissionReview", response: { uid: review.request.uid, ...answer(review.request) } });
  };
  const server = createApiServer({ extension: complete, clock, random: testRandom(5), log: silent, webhookFetch });
  const send = async (method: "POST" | "PATCH" | "DELETE" | "GET", path: string, body?: unknown): Promise<{ status: number; body: Any; warning: string | undefined }> => {
    const headers = { "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json" };
    const { status, body: answer, headers: got } = await server.handle({ method, path, headers, ...(body === undefined ? {} : { body }) });
    return { status, body: answer, warning: got["warning"] };
  };
  const register = (kind: "Mutating" | "Validating", name: string, more: Any = {}): Promise<Any> => send("POST", `${REGISTRATION}/${kind.toLowerCase()}webhookconfigurations`, {
    apiVersion: "admissionregistration.k8s.io/v1", kind: `${kind}WebhookConfiguration`, metadata: { name },
    webhooks: [{ name: `${name}.example.com`, clientConfig: { url: `https://hooks.example/${name}` }, rules: [RULE], sideEffects: "None", admissionReviewVersions: ["v1"], ...more }],
  });
  const create = (name: string, data: Any = {}, query = "") => send("POST", CONFIG_MAPS + query, { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
  return { clock, seen, send, register, create };
}

const patchOf = (operations: Any): Any => ({ allowed: true, patchType: "JSONPatch", patch: btoa(JSON.stringify(operations)) });
const add = (key: string, value: string): Answer => () => patchOf([{ op: "add", path: `/data/${key}`, value }]);

test("webhooks change objects one after the other, and look again when asked to", async () => {
  const { register, create, seen } = setUp({
    a: ({ object }) => patchOf([{ op: "add", path: "/data/seen", value: Object.keys(object.data).join(",") }]),
    b: add("b", "1"),
    c: () => ({ allowed: true, warnings: ["mind the gap"] }),
  });
  await register("Mutating", "a", { reinvocationPolicy: "IfNeeded" });
  await register("Mutating", "b");
  await register("Validating", "c");
  const { status, body, warning } = await create("one", { x: "0" });
  expect([status, body.data, warning]).toEqual([201, { x: "0", b: "1", seen: "x,seen,b" }, '299 - "mind the gap"']);
  expect(seen).toEqual(["a CREATE one", "b CREATE one", "a CREATE one", "c CREATE one"]);
});

test("refusals are the webhook's own, with its name", async () => {
  const { register, create, send } = setUp({
    a: ({ operation, object, oldObject }) => (operation === "DELETE" ? { allowed: oldObject.data.keep !== "1", status: { message: "it is kept", code: 403, reason: "Forbidden" } } : { allowed: object.data.bad !== "1" }),
  });
  await register("Validating", "a");
  expect((await create("bad", { bad: "1" })).body).toEqual({
    kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: 'admission webhook "a.example.com" denied the request without explanation', code: 400,
  });
  expect((await create("kept", { keep: "1" })).status).toBe(201);
  const kept = await send("DELETE", `${CONFIG_MAPS}/kept`);
  expect([kept.status, kept.body.reason, kept.body.message]).toEqual([403, "Forbidden", 'admission webhook "a.example.com" denied the request: it is kept']);
  expect((await send("GET", `${CONFIG_MAPS}/kept`)).status).toBe(200);
});

test("what cannot be asked fails, or is passed over, as the webhook says; a dry run wants no side effects", async () => {
  const { register, create, clock, send } = setUp({ hang: "hang", garbage: "garbage", refuse: "refuse", uid: () => ({ uid: "other", allowed: true }) });
  const remove = (name: string): Promise<Any> => send("DELETE", `${REGISTRATION}/validatingwebhookconfigurations/${name}`);
  const failure = async (name: string, more: Any = {}): Promise<string> => {
    await register("Validating", name, more);
    const asked = create(`of-${name}`);
    await clock.advance(60_000);
    const { status, body } = await asked;
    await remove(name);
    return status === 201 ? "created" : `${status} ${body.message.replaceAll(/"[0-9a-f-]{36}"/g, "UID")}`;
  };
  const failed = (name: string, why: string): string => `500 Internal error occurred: failed calling webhook "${name}.example.com": ${why}`;
  expect(await failure("hang", { timeoutSeconds: 3 })).toBe(failed("hang", 'failed to call webhook: Post "https://hooks.example/hang?timeout=3s": context deadline exceeded'));
  expect(await failure("garbage")).toContain('failed calling webhook "garbage.example.com": failed to call webhook: ');
  expect(await failure("refuse")).toBe(failed("refuse", "failed to call webhook: the server rejected our request for an unknown reason (502)"));
  expect(await failure("uid")).toBe(failed("uid", 'expected response.uid=UID, got "other"'));
  expect(await failure("hang", { failurePolicy: "Ignore" })).toBe("created");
  expect((await register("Validating", "uid", { sideEffects: "NoneOnDryRun", failurePolicy: "Ignore" })).status).toBe(201);
  expect((await create("dry", {}, "?dryRun=All")).status).toBe(201);
});

test("rules, selectors and conditions say what is asked about", async () => {
  const { register, create, seen, send } = setUp({ a: () => ({ allowed: true }) });
  await register("Validating", "a", { objectSelector: { matchLabels: { ask: "yes" } }, matchConditions: [{ name: "big", expression: "size(object.data) > 1" }] });
  await create("none");
  const labelled = (name: string, data: Any): Promise<Any> => send("POST", CONFIG_MAPS, { apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels: { ask: "yes" } }, data });
  await labelled("small", { a: "1" });
  await labelled("big", { a: "1", b: "2" });
  await send("POST", "/api/v1/namespaces/default/secrets", { apiVersion: "v1", kind: "Secret", metadata: { name: "s", labels: { ask: "yes" } } });
  expect(seen).toEqual(["a CREATE big"]);
});
