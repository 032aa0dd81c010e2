/** Nodes, escalation, pod security and admission policies beyond what was recorded; the words are those of upstream's sources. */
import { expect, test } from "vitest";
import { ADMIN_TOKEN, createExchangeServer } from "../../scripts/lib/exchange-server.ts";

type Json = Record<string, unknown>;
const NODE = { "impersonate-user": "system:node:n1", "impersonate-group": "system:nodes" };
const JANE = { "impersonate-user": "jane" };
const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const POLICIES = "/apis/admissionregistration.k8s.io/v1";

function server(): (method: string, path: string, body?: Json, headers?: Record<string, string>) => Promise<{ status: number; body: Json; warning: string | null }> {
  const fetch = createExchangeServer();
  return async (method, path, body, headers = {}) => {
    const response = await fetch(new Request(`https://kubernetes.example${path}`, {
      method, headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }));
    return { status: response.status, body: (await response.json()) as Json, warning: response.headers.get("warning") };
  };
}

const pod = (name: string, spec: Json): Json => ({ apiVersion: "v1", kind: "Pod", metadata: { name }, spec: { containers: [{ name: "c", image: "nginx" }], serviceAccountName: "default", automountServiceAccountToken: false, ...spec } });

test("a node reads what its pods refer to, and nothing else", async () => {
  const ask = server();
  await ask("POST", "/api/v1/namespaces/default/serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } });
  for (const name of ["env", "volume", "pull", "other"]) await ask("POST", "/api/v1/namespaces/default/secrets", { apiVersion: "v1", kind: "Secret", metadata: { name } });
  await ask("POST", "/api/v1/namespaces/default/configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "projected" } });
  const spec = {
    nodeName: "n1", imagePullSecrets: [{ name: "pull" }], containers: [{ name: "c", image: "nginx", envFrom: [{ secretRef: { name: "env" } }] }],
    volumes: [{ name: "v", secret: { secretName: "volume" } }, { name: "w", projected: { sources: [{ configMap: { name: "projected" } }] } }],
  };
  expect((await ask("POST", "/api/v1/namespaces/default/pods", pod("mine", spec))).status).toBe(201);
  expect((await ask("POST", "/api/v1/namespaces/default/pods", pod("theirs", { nodeName: "n2", imagePullSecrets: [{ name: "other" }] }))).status).toBe(201);
  const may = async (path: string, method = "GET"): Promise<string | number> => {
    const { status, body } = await ask(method, path, undefined, NODE);
    return status === 403 ? String(body["message"]).split(": ").slice(1).join(": ").replace(/^User .*? in the namespace "[^"]*": |^User .*? scope: /, "") : status;
  };
  for (const path of ["secrets/env", "secrets/volume", "secrets/pull", "configmaps/projected", "pods/mine"]) expect(await may(`/api/v1/namespaces/default/${path}`), path).toBe(200);
  for (const path of ["secrets/other", "pods/theirs"]) expect(await may(`/api/v1/namespaces/default/${path}`), path).toBe("no relationship found between node 'n1' and this object");
  expect(await may("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1")).toBe(200);
  expect(await may("/api/v1/pods")).toBe("can only list/watch pods with spec.nodeName field selector");
  expect(await may("/apis/coordination.k8s.io/v1/namespaces/default/leases/x")).toBe('can only access leases in the "kube-node-lease" system namespace');
  expect(await may("/apis/storage.k8s.io/v1/csinodes/n2")).toBe("can only access CSINode with the same name as the requesting node");
  expect(await may("/api/v1/services")).toBe(200);
});

test("nobody gives away more than they have", async () => {
  const ask = server();
  const role = (name: string, rules: Json[]): Json => ({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata: { name }, rules });
  const rbac = { apiGroups: ["rbac.authorization.k8s.io"], resources: ["*"], verbs: ["create", "update", "patch", "get", "delete"] };
  await ask("POST", `${RBAC}/clusterroles`, role("writer", [rbac, { apiGroups: [""], resources: ["pods", "pods/log"], verbs: ["get", "list"] }]));
  await ask("POST", `${RBAC}/clusterrolebindings`, {
    apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name: "jane" }, roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "writer" }, subjects: [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }],
  });
  const asJane = async (method: string, path: string, body: Json): Promise<string | number> => {
    const { status, body: answer } = await ask(method, path, body, JANE);
    return status === 403 || status === 404 ? String(answer["message"]).split("currently held:\n").at(-1)! : status;
  };
  expect(await asJane("POST", `${RBAC}/clusterroles`, role("held", [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }]))).toBe(201);
  expect(await asJane("POST", `${RBAC}/clusterroles`, role("more", [{ apiGroups: [""], resources: ["pods", "secrets"], verbs: ["get", "watch"] }, { nonResourceURLs: ["/metrics"], verbs: ["get"] }])))
    .toBe('{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}\n{NonResourceURLs:["/metrics"], Verbs:["get"]}');
  expect(await asJane("PATCH", `${RBAC}/clusterroles/held`, { rules: [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }] })).toBe('{APIGroups:["*"], Resources:["*"], Verbs:["*"]}');
  expect(await asJane("POST", `${RBAC}/clusterroles`, { ...role("gather", []), aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] } })).toContain("must have cluster-admin privileges to use the aggregationRule");
  const binding = (name: string, to: string): Json => ({ apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRoleBinding", metadata: { name }, roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: to }, subjects: [] });
  expect(await asJane("POST", `${RBAC}/clusterrolebindings`, binding("own", "held"))).toBe(201);
  expect(await asJane("POST", `${RBAC}/clusterrolebindings`, binding("all", "cluster-admin"))).toContain('{APIGroups:["*"], Resources:["*"], Verbs:["*"]}');
  expect(await asJane("POST", `${RBAC}/clusterrolebindings`, binding("none", "nosuch"))).toBe('clusterroles.rbac.authorization.k8s.io "nosuch" not found');
  // The one verb that lets it pass.
  await ask("PATCH", `${RBAC}/clusterroles/writer`, { rules: [rbac, { apiGroups: ["rbac.authorization.k8s.io"], resources: ["clusterroles"], verbs: ["escalate", "bind"] }] });
  expect(await asJane("POST", `${RBAC}/clusterroles`, role("more", [{ apiGroups: ["*"], resources: ["*"], verbs: ["*"] }]))).toBe(201);
  expect(await asJane("POST", `${RBAC}/clusterrolebindings`, binding("all", "cluster-admin"))).toBe(201);
});

test("a version of a level forbids what it forbade then; what warns follows what is enforced", async () => {
  const ask = server();
  const space = async (name: string, labels: Json): Promise<void> => {
    await ask("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`pod-security.kubernetes.io/${key}`, value])) } });
    await ask("POST", `/api/v1/namespaces/${name}/serviceaccounts`, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } });
  };
  await space("old", { enforce: "baseline", "enforce-version": "v1.26" });
  await space("new", { enforce: "baseline" });
  const sysctl = { securityContext: { sysctls: [{ name: "net.ipv4.tcp_rmem", value: "1 2 3" }, { name: "net.ipv4.ip_local_reserved_ports", value: "1" }] } };
  const { status, body } = await ask("POST", "/api/v1/namespaces/old/pods?dryRun=All", pod("p", sysctl));
  expect([status, body["message"]]).toEqual([403, 'pods "p" is forbidden: violates PodSecurity "baseline:v1.26": forbidden sysctls (net.ipv4.tcp_rmem, net.ipv4.ip_local_reserved_ports)']);
  expect((await ask("POST", "/api/v1/namespaces/new/pods?dryRun=All", pod("p", sysctl))).status).toBe(201);
  const job = { apiVersion: "batch/v1", kind: "CronJob", metadata: { name: "j" }, spec: { schedule: "* * * * *", jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", hostPID: true, containers: [{ name: "c", image: "x" }] } } } } } };
  const warned = await ask("POST", "/apis/batch/v1/namespaces/new/cronjobs?dryRun=All", job);
  expect([warned.status, warned.warning]).toEqual([201, '299 - "would violate PodSecurity \\"baseline:latest\\": host namespaces (hostPID=true)"']);
});

test("a policy asks the authorizer, and fails as it says", async () => {
  const ask = server();
  const policy = (name: string, spec: Json): Json => ({
    apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingAdmissionPolicy", metadata: { name },
    spec: { matchConstraints: { resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }] }, ...spec },
  });
  const bind = (name: string): Json => ({ apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingAdmissionPolicyBinding", metadata: { name }, spec: { policyName: name, validationActions: ["Deny"] } });
  const configMap = (name: string, data: Json): Json => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data });
  const create = async (name: string, data: Json): Promise<unknown> => {
    const { status, body } = await ask("POST", "/api/v1/namespaces/default/configmaps?dryRun=All", configMap(name, data));
    return status === 201 ? 201 : [status, String(body["message"]).split("denied request: ")[1]];
  };
  await ask("POST", `${POLICIES}/validatingadmissionpolicies`, policy("may", {
    validations: [{ expression: "authorizer.serviceAccount('default', object.data.who).group('').resource('secrets').namespace('default').check('get').allowed()", messageExpression: "object.data.who + ' may not'", reason: "Forbidden" }],
  }));
  await ask("POST", `${POLICIES}/validatingadmissionpolicybindings`, bind("may"));
  expect(await create("a", { who: "app" })).toEqual([403, "app may not"]);
  await ask("POST", `${RBAC}/namespaces/default/rolebindings`, {
    apiVersion: "rbac.authorization.k8s.io/v1", kind: "RoleBinding", metadata: { name: "app" }, roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "admin" }, subjects: [{ kind: "ServiceAccount", name: "app", namespace: "default" }],
  });
  await ask("PATCH", `${RBAC}/clusterroles/admin`, { aggregationRule: null, rules: [{ apiGroups: [""], resources: ["secrets"], verbs: ["get"] }] });
  expect(await create("a", { who: "app" })).toBe(201);
  await ask("DELETE", `${POLICIES}/validatingadmissionpolicybindings/may`);
  await ask("POST", `${POLICIES}/validatingadmissionpolicies`, policy("broken", { failurePolicy: "Ignore", validations: [{ expression: "object.data.none == 'x'" }] }));
  await ask("POST", `${POLICIES}/validatingadmissionpolicybindings`, bind("broken"));
  expect(await create("a", { who: "app" })).toBe(201);
  await ask("PATCH", `${POLICIES}/validatingadmissionpolicies/broken`, { spec: { failurePolicy: "Fail" } });
  expect(await create("a", { who: "app" })).toEqual([422, "expression 'object.data.none == 'x'' resulted in error: no such key: none"]);
});

test("what is tolerated is warned of", async () => {
  const ask = server();
  await ask("POST", "/api/v1/namespaces/default/serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } });
  const warnings = async (path: string, body: Json): Promise<string[]> => {
    const { status, warning } = await ask("POST", `${path}?dryRun=All`, body);
    expect(status, JSON.stringify(body)).toBe(201);
    return (warning ?? "").split(/, (?=299 - )/).filter((text) => text !== "").map((text) => JSON.parse(text.slice("299 - ".length)) as string);
  };
  const pods = "/api/v1/namespaces/default/pods";
  const container = (more: Json): Json => ({ containers: [{ name: "c", image: "nginx", ...more }] });
  for (const [spec, expected] of [
    [{ nodeSelector: { "beta.kubernetes.io/os": "linux" } }, ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead']],
    [{ hostAliases: [{ ip: "1.2.3.4", hostnames: ["a"] }, { ip: "1.2.3.4", hostnames: ["b"] }] }, ['spec.hostAliases[1].ip: duplicate ip "1.2.3.4"']],
    [{ imagePullSecrets: [{ name: "a" }, { name: "a" }] }, ['spec.imagePullSecrets[1].name: duplicate name "a"']],
    [{ volumes: [{ name: "v", gitRepo: { repository: "x" } }] }, ["spec.volumes[0].gitRepo: deprecated in v1.11"]],
    [container({ env: [{ name: "A", value: "1" }, { name: "A", value: "2" }, { name: "A", value: "$(A)3" }] }), ['spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply']],
    [container({ ports: [{ containerPort: 80 }, { containerPort: 80 }] }), ["spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]"]],
    [container({ resources: { requests: { memory: "1500m" } } }), ['spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is invalid, must be an integer']],
    [{}, []],
  ] as const) expect(await warnings(pods, pod("p", spec as Json))).toEqual(expected);
  expect(await warnings(pods, pod("a.b", {}))).toEqual([expect.stringMatching(/^metadata\.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: \[/)]);
  const job = { apiVersion: "batch/v1", kind: "CronJob", metadata: { name: "j" }, spec: { schedule: "TZ=UTC * * * * *", jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "x" }] } } } } } };
  expect((await ask("POST", "/apis/batch/v1/namespaces/default/cronjobs?dryRun=All", job)).status).toBe(422);
  expect(await warnings("/apis/networking.k8s.io/v1/namespaces/default/ingresses", {
    apiVersion: "networking.k8s.io/v1", kind: "Ingress", metadata: { name: "i", annotations: { "kubernetes.io/ingress.class": "nginx" } }, spec: { defaultBackend: { service: { name: "s", port: { number: 80 } } } },
  })).toEqual([`annotation "kubernetes.io/ingress.class" is deprecated, please use 'spec.ingressClassName' instead`]);
  expect(await warnings("/api/v1/persistentvolumes", {
    apiVersion: "v1", kind: "PersistentVolume", metadata: { name: "pv" }, spec: { capacity: { storage: "1Gi" }, accessModes: ["ReadWriteOnce"], persistentVolumeReclaimPolicy: "Recycle", hostPath: { path: "/x" } },
  })).toEqual(["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."]);
});
