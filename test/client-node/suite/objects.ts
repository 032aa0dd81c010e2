/** Objects by the typed clients: every verb, kinds of every sort, errors, options, middleware. */
import {
  AdmissionregistrationV1Api, ApisApi, AppsV1Api, AutoscalingV2Api, AuthenticationV1Api, AuthorizationV1Api, BatchV1Api, CoordinationV1Api, CoreV1Api, DiscoveryV1Api, EventsV1Api, NetworkingV1Api,
  NodeV1Api, PolicyV1Api, RbacAuthorizationV1Api, SchedulingV1Api, StorageV1Api, VersionApi, WellKnownApi, OpenidApi, LogsApi,
  PatchStrategy, type ResponseContext, setHeaderMiddleware, setHeaderOptions, V1MicroTime, type V1ConfigMap, type V1Deployment, type V1Service,
} from "@kubernetes/client-node";
import { beforeAll, describe, expect, test } from "vitest";
import { failure, session } from "./common.ts";

const s = session({ nodes: 0, controllers: "none" });
let core: CoreV1Api;
let apps: AppsV1Api;

beforeAll(() => {
  core = s.config.makeApiClient(CoreV1Api);
  apps = s.config.makeApiClient(AppsV1Api);
});

const configMap = (name: string, data: Record<string, string> = { a: "b" }, labels: Record<string, string> = {}): V1ConfigMap => ({ metadata: { name, labels }, data });

const deployment = (name: string): V1Deployment => ({
  metadata: { name },
  spec: {
    replicas: 2, selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "c", image: "nginx:1.27", ports: [{ containerPort: 80 }] }] } },
  },
});

describe("one kind, every verb", () => {
  const namespace = "default";

  test("create, read, replace, delete", async () => {
    const made = await core.createNamespacedConfigMap({ namespace, body: configMap("one") });
    expect(made.metadata).toMatchObject({ name: "one", namespace, uid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
    expect(made.metadata!.creationTimestamp).toBeInstanceOf(Date);
    expect(made.metadata!.managedFields![0]).toMatchObject({ operation: "Update", apiVersion: "v1", fieldsType: "FieldsV1" });
    const read = await core.readNamespacedConfigMap({ name: "one", namespace });
    expect(read).toEqual(made);
    read.data!["a"] = "c";
    const replaced = await core.replaceNamespacedConfigMap({ name: "one", namespace, body: read });
    expect(replaced.data).toEqual({ a: "c" });
    expect(Number(replaced.metadata!.resourceVersion)).toBeGreaterThan(Number(made.metadata!.resourceVersion));
    const stale = await failure(core.replaceNamespacedConfigMap({ name: "one", namespace, body: made }));
    expect(stale.code).toBe(409);
    expect(JSON.parse(stale.body)).toMatchObject({ kind: "Status", reason: "Conflict", details: { name: "one", kind: "configmaps" } });
    const gone = await core.deleteNamespacedConfigMap({ name: "one", namespace });
    expect(gone).toMatchObject({ kind: "Status", status: "Success", details: { name: "one", kind: "configmaps", uid: made.metadata!.uid } });
  });

  test("all sorts of patches", async () => {
    await apps.createNamespacedDeployment({ namespace, body: deployment("patched") });
    const name = "patched";
    const json = await apps.patchNamespacedDeployment({ name, namespace, body: [{ op: "replace", path: "/spec/replicas", value: 3 }] }, setHeaderOptions("Content-Type", PatchStrategy.JsonPatch));
    expect(json.spec!.replicas).toBe(3);
    const merge = await apps.patchNamespacedDeployment({ name, namespace, body: { metadata: { labels: { tier: "front" } } } }, setHeaderOptions("Content-Type", PatchStrategy.MergePatch));
    expect(merge.metadata!.labels).toEqual({ tier: "front" });
    const strategic = await apps.patchNamespacedDeployment(
      { name, namespace, body: { spec: { template: { spec: { containers: [{ name: "side", image: "busybox" }] } } } } },
      setHeaderOptions("Content-Type", PatchStrategy.StrategicMergePatch),
    );
    expect(strategic.spec!.template.spec!.containers.map(({ name }) => name).sort()).toEqual(["c", "side"]);
    const applied = await apps.patchNamespacedDeployment(
      { name, namespace, fieldManager: "me", force: true, body: { apiVersion: "apps/v1", kind: "Deployment", metadata: { name }, spec: { replicas: 7 } } },
      setHeaderOptions("Content-Type", PatchStrategy.ServerSideApply),
    );
    expect(applied.spec!.replicas).toBe(7);
    expect(applied.metadata!.managedFields!.find(({ manager }) => manager === "me")).toMatchObject({ operation: "Apply" });
    // What the library sends by default is a JSON patch.
    const byDefault = await apps.patchNamespacedDeployment({ name, namespace, body: [{ op: "remove", path: "/metadata/labels/tier" }] });
    expect(byDefault.metadata!.labels ?? {}).toEqual({});
    const bad = await failure(apps.patchNamespacedDeployment({ name, namespace, body: [{ op: "remove", path: "/metadata/labels/none" }] }));
    expect(bad.code).toBe(422);
    expect((await failure(apps.patchNamespacedDeployment({ name, namespace, body: {} }, setHeaderOptions("Content-Type", "text/plain")))).code).toBe(415);
  });

  test("scale and status", async () => {
    await apps.createNamespacedDeployment({ namespace, body: deployment("scaled") });
    const name = "scaled";
    const scale = await apps.readNamespacedDeploymentScale({ name, namespace });
    expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 2 }, status: { selector: "app=scaled" } });
    scale.spec!.replicas = 5;
    expect((await apps.replaceNamespacedDeploymentScale({ name, namespace, body: scale })).spec).toEqual({ replicas: 5 });
    await apps.patchNamespacedDeploymentScale({ name, namespace, body: [{ op: "replace", path: "/spec/replicas", value: 1 }] });
    const whole = await apps.readNamespacedDeployment({ name, namespace });
    expect(whole.spec!.replicas).toBe(1);
    whole.status = { replicas: 1, observedGeneration: whole.metadata!.generation! };
    const status = await apps.replaceNamespacedDeploymentStatus({ name, namespace, body: whole });
    expect(status.status).toMatchObject({ replicas: 1 });
    expect(status.metadata!.generation).toBe(whole.metadata!.generation);
  });

  test("lists: selectors, pages, across namespaces", async () => {
    await core.createNamespace({ body: { metadata: { name: "many" } } });
    for (let i = 0; i < 7; i++) await core.createNamespacedConfigMap({ namespace: "many", body: configMap(`m${i}`, {}, { parity: i % 2 === 0 ? "even" : "odd" }) });
    const names = (list: { items: V1ConfigMap[] }): string[] => list.items.map(({ metadata }) => metadata!.name!);
    expect(names(await core.listNamespacedConfigMap({ namespace: "many", labelSelector: "parity=odd" }))).toEqual(["m1", "m3", "m5"]);
    expect(names(await core.listNamespacedConfigMap({ namespace: "many", labelSelector: "parity in (even),!other" }))).toEqual(["m0", "m2", "m4", "m6"]);
    expect(names(await core.listNamespacedConfigMap({ namespace: "many", fieldSelector: "metadata.name=m4" }))).toEqual(["m4"]);
    const first = await core.listNamespacedConfigMap({ namespace: "many", limit: 3 });
    expect(names(first)).toEqual(["m0", "m1", "m2"]);
    expect(first.metadata!.remainingItemCount).toBe(4);
    const second = await core.listNamespacedConfigMap({ namespace: "many", limit: 3, _continue: first.metadata!._continue! });
    expect(names(second)).toEqual(["m3", "m4", "m5"]);
    expect(second.metadata!.resourceVersion).toBe(first.metadata!.resourceVersion);
    const last = await core.listNamespacedConfigMap({ namespace: "many", limit: 3, _continue: second.metadata!._continue! });
    expect(names(last)).toEqual(["m6"]);
    expect(last.metadata!._continue ?? "").toBe("");
    expect(names(await core.listConfigMapForAllNamespaces({ labelSelector: "parity" }))).toHaveLength(7);
    const removed = await core.deleteCollectionNamespacedConfigMap({ namespace: "many", labelSelector: "parity=even" });
    expect(removed.kind).toBe("ConfigMapList");
    expect(names(await core.listNamespacedConfigMap({ namespace: "many", labelSelector: "parity" }))).toEqual(["m1", "m3", "m5"]);
    expect((await failure(core.listNamespacedConfigMap({ namespace: "many", labelSelector: "a==b==c" }))).code).toBe(400);
    expect((await failure(core.listNamespacedConfigMap({ namespace: "many", fieldSelector: "data.a=b" }))).code).toBe(400);
  });

  test("dry run, generated names, field validation, preconditions, dates", async () => {
    await core.createNamespacedConfigMap({ namespace, body: configMap("dry"), dryRun: "All" });
    expect((await failure(core.readNamespacedConfigMap({ name: "dry", namespace }))).code).toBe(404);
    const generated = await core.createNamespacedConfigMap({ namespace, body: { metadata: { generateName: "gen-" } } });
    expect(generated.metadata!.name).toMatch(/^gen-[a-z0-9]{5}$/);
    const strict = await failure(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "strict" }, data: { a: 1 as unknown as string } }, fieldValidation: "Strict" }));
    expect(strict.code).toBe(400);
    const other = await failure(core.deleteNamespacedConfigMap({ name: generated.metadata!.name!, namespace, body: { preconditions: { uid: "00000000-0000-0000-0000-000000000000" } } }));
    expect(other.code).toBe(409);
    const lease = await s.config.makeApiClient(CoordinationV1Api).createNamespacedLease({
      namespace, body: { metadata: { name: "l" }, spec: { holderIdentity: "me", leaseDurationSeconds: 15, acquireTime: new V1MicroTime("2026-01-02T03:04:05.678Z"), renewTime: new V1MicroTime("2026-01-02T03:04:05.678Z") } },
    });
    expect(new Date(lease.spec!.renewTime!).toISOString()).toBe("2026-01-02T03:04:05.678Z");
  });

  test("deletion: finalizers and grace", async () => {
    await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: "held", finalizers: ["example.com/hold"] } } });
    const asked = await core.deleteNamespacedConfigMap({ name: "held", namespace, propagationPolicy: "Background" });
    // The answer is the object, which the library reads as a Status.
    expect(asked.kind).toBe("ConfigMap");
    const held = await core.readNamespacedConfigMap({ name: "held", namespace });
    expect(held.metadata!.deletionTimestamp).toBeInstanceOf(Date);
    await core.patchNamespacedConfigMap({ name: "held", namespace, body: [{ op: "remove", path: "/metadata/finalizers" }] });
    expect((await failure(core.readNamespacedConfigMap({ name: "held", namespace }))).code).toBe(404);
  });
});

describe("errors", () => {
  test("carry the Status", async () => {
    const missing = await failure(core.readNamespacedPod({ name: "nosuch", namespace: "default" }));
    expect(missing.code).toBe(404);
    expect(JSON.parse(missing.body)).toEqual({
      kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: 'pods "nosuch" not found', reason: "NotFound", details: { name: "nosuch", kind: "pods" }, code: 404,
    });
    expect(missing.headers["content-type"]).toBe("application/json");
    expect(missing.headers["audit-id"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    await core.createNamespacedConfigMap({ namespace: "default", body: configMap("twice") });
    const exists = await failure(core.createNamespacedConfigMap({ namespace: "default", body: configMap("twice") }));
    expect(JSON.parse(exists.body)).toMatchObject({ reason: "AlreadyExists", code: 409 });
    const invalid = await failure(core.createNamespacedConfigMap({ namespace: "default", body: configMap("Not A Name") }));
    expect(invalid.code).toBe(422);
    expect(JSON.parse(invalid.body)).toMatchObject({ reason: "Invalid", details: { causes: [{ reason: "FieldValueInvalid", field: "metadata.name" }] } });
    const nowhere = await failure(core.createNamespacedConfigMap({ namespace: "nosuch", body: configMap("a") }));
    expect(JSON.parse(nowhere.body)).toMatchObject({ reason: "NotFound", message: 'namespaces "nosuch" not found' });
  });
});

describe("options", () => {
  test("middleware, with and without what was there before", async () => {
    const warned: string[] = [];
    const middleware = {
      pre: async (context: never) => context,
      post: async (context: { headers: Record<string, string> }) => {
        if (context.headers["warning"] !== undefined) warned.push(context.headers["warning"]);
        return context;
      },
    };
    const made = await core.createNamespacedConfigMap(
      { namespace: "default", body: { metadata: { name: "warned" }, strange: 1 } as V1ConfigMap },
      { middleware: [setHeaderMiddleware("User-Agent", "somebody/1.0 (x)"), {
        pre: (request) => {
          request.setBody(JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "warned" }, data: { a: "b" }, strange: 1 }));
          return setHeaderMiddleware("X-Other", "1").pre(request);
        },
        post: (response) => setHeaderMiddleware("X-Other", "1").post((void middleware.post(response as never), response)),
      }], middlewareMergeStrategy: "append" },
    );
    expect(made.metadata!.managedFields![0]!.manager).toBe("somebody");
    expect(warned).toEqual(['299 - "unknown field \\"strange\\""']);
  });

  test("with the HTTP answer", async () => {
    const seen: Record<string, string>[] = [];
    const look = { pre: setHeaderMiddleware("X-Other", "1").pre, post: (response: ResponseContext) => setHeaderMiddleware("X-Other", "1").post((seen.push(response.headers), response)) };
    await core.readNamespace({ name: "default" }, { middleware: [look], middlewareMergeStrategy: "append" });
    const [headers] = seen;
    expect(headers).toMatchObject({ "cache-control": "no-cache, private", "x-kubernetes-pf-flowschema-uid": expect.stringMatching(/^[0-9a-f-]{36}$/) as string, "x-kubernetes-pf-prioritylevel-uid": expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
  });
});

describe("kinds of every group", () => {
  test("services get addresses", async () => {
    const body: V1Service = { metadata: { name: "svc" }, spec: { selector: { app: "x" }, ports: [{ port: 80, targetPort: "http" }] } };
    const made = await core.createNamespacedService({ namespace: "default", body });
    expect(made.spec!.clusterIP).toMatch(/^10\.96\./);
    expect(made.spec!.ports![0]).toMatchObject({ protocol: "TCP", targetPort: "http" });
    const numbered = await core.createNamespacedService({ namespace: "default", body: { metadata: { name: "svc2" }, spec: { type: "NodePort", ports: [{ port: 80, targetPort: 8080 }] } } });
    expect(numbered.spec!.ports![0]!.targetPort).toBe(8080);
    expect(numbered.spec!.ports![0]!.nodePort).toBeGreaterThanOrEqual(30000);
  });

  test("secrets are bytes in base64", async () => {
    const made = await core.createNamespacedSecret({ namespace: "default", body: { metadata: { name: "sec" }, stringData: { password: "hunter2" }, data: { raw: "AAEC" } } });
    expect(made.data).toEqual({ password: "aHVudGVyMg==", raw: "AAEC" });
    expect(made.type).toBe("Opaque");
  });

  test("the others", async () => {
    const namespace = "default";
    const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
    const selector = { matchLabels: { a: "b" } };
    const batch = s.config.makeApiClient(BatchV1Api);
    expect((await batch.createNamespacedJob({ namespace, body: { metadata: { name: "j" }, spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } } } } })).spec!.backoffLimit).toBe(6);
    expect((await batch.createNamespacedCronJob({ namespace, body: { metadata: { name: "cj" }, spec: { schedule: "*/5 * * * *", jobTemplate: { spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "c", image: "i" }] } } } } } } })).spec!.concurrencyPolicy).toBe("Allow");
    expect((await apps.createNamespacedStatefulSet({ namespace, body: { metadata: { name: "sts" }, spec: { serviceName: "x", selector, template } } })).spec!.podManagementPolicy).toBe("OrderedReady");
    expect((await apps.createNamespacedDaemonSet({ namespace, body: { metadata: { name: "ds" }, spec: { selector, template } } })).spec!.updateStrategy!.type).toBe("RollingUpdate");
    expect((await apps.createNamespacedReplicaSet({ namespace, body: { metadata: { name: "rs" }, spec: { selector, template } } })).spec!.replicas).toBe(1);
    const networking = s.config.makeApiClient(NetworkingV1Api);
    const ingress = await networking.createNamespacedIngress({ namespace, body: { metadata: { name: "ing" }, spec: { rules: [{ host: "a.example", http: { paths: [{ path: "/", pathType: "Prefix", backend: { service: { name: "svc", port: { number: 80 } } } }] } }] } } });
    expect(ingress.spec!.rules![0]!.http!.paths[0]!.backend.service!.port).toEqual({ number: 80 });
    expect((await networking.createNamespacedNetworkPolicy({ namespace, body: { metadata: { name: "np" }, spec: { podSelector: {}, policyTypes: ["Ingress"] } } })).spec!.policyTypes).toEqual(["Ingress"]);
    expect((await s.config.makeApiClient(PolicyV1Api).createNamespacedPodDisruptionBudget({ namespace, body: { metadata: { name: "pdb" }, spec: { minAvailable: "50%", selector } } })).spec!.minAvailable).toBe("50%");
    const rbac = s.config.makeApiClient(RbacAuthorizationV1Api);
    expect((await rbac.createNamespacedRole({ namespace, body: { metadata: { name: "r" }, rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] } })).rules).toHaveLength(1);
    expect((await rbac.createNamespacedRoleBinding({ namespace, body: { metadata: { name: "rb" }, roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" }, subjects: [{ kind: "User", name: "jane", apiGroup: "rbac.authorization.k8s.io" }] } })).subjects).toHaveLength(1);
    expect((await s.config.makeApiClient(AutoscalingV2Api).createNamespacedHorizontalPodAutoscaler({ namespace, body: { metadata: { name: "hpa" }, spec: { maxReplicas: 3, scaleTargetRef: { kind: "Deployment", name: "x", apiVersion: "apps/v1" } } } })).spec!.minReplicas).toBe(1);
    expect((await s.config.makeApiClient(SchedulingV1Api).createPriorityClass({ body: { metadata: { name: "pc" }, value: 5 } })).preemptionPolicy).toBe("PreemptLowerPriority");
    expect((await s.config.makeApiClient(StorageV1Api).createStorageClass({ body: { metadata: { name: "sc" }, provisioner: "example.com/p" } })).reclaimPolicy).toBe("Delete");
    expect((await s.config.makeApiClient(NodeV1Api).createRuntimeClass({ body: { metadata: { name: "rc" }, handler: "h" } })).handler).toBe("h");
    expect((await s.config.makeApiClient(DiscoveryV1Api).listNamespacedEndpointSlice({ namespace })).kind).toBe("EndpointSliceList");
    expect((await s.config.makeApiClient(AdmissionregistrationV1Api).listValidatingWebhookConfiguration()).items).toEqual([]);
    const pvc = await core.createNamespacedPersistentVolumeClaim({ namespace, body: { metadata: { name: "pvc" }, spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } } } });
    expect(pvc.status!.phase).toBe("Pending");
    const event = await s.config.makeApiClient(EventsV1Api).createNamespacedEvent({ namespace, body: { metadata: { name: "e" }, eventTime: new V1MicroTime(), action: "Act", reason: "Why", type: "Normal", reportingController: "example.com/c", reportingInstance: "c-1", regarding: { kind: "Pod", name: "p", namespace } } });
    expect(event.reportingController).toBe("example.com/c");
  });

  test("who may do what, who am I", async () => {
    const review = await s.config.makeApiClient(AuthorizationV1Api).createSelfSubjectAccessReview({ body: { spec: { resourceAttributes: { verb: "delete", resource: "nodes" } } } });
    expect(review.status).toMatchObject({ allowed: true });
    const me = await s.config.makeApiClient(AuthenticationV1Api).createSelfSubjectReview({ body: {} });
    expect(me.status!.userInfo).toMatchObject({ username: "kubernetes-admin", groups: ["system:masters", "system:authenticated"] });
    await core.createNamespacedServiceAccount({ namespace: "default", body: { metadata: { name: "robot" } } });
    const token = await core.createNamespacedServiceAccountToken({ name: "robot", namespace: "default", body: { spec: { audiences: [], expirationSeconds: 3600 } } as never });
    expect(token.status!.token!.split(".")).toHaveLength(3);
    expect(token.status!.expirationTimestamp).toBeInstanceOf(Date);
  });

  test("version and discovery", async () => {
    expect(await s.config.makeApiClient(VersionApi).getCode()).toMatchObject({ major: "1", minor: "32" });
    const groups = await s.config.makeApiClient(ApisApi).getAPIVersions();
    expect(groups.groups.map(({ name }) => name)).toContain("apps");
    expect((await apps.getAPIResources()).resources.map(({ name }) => name)).toContain("deployments/scale");
    expect((await core.getAPIResources()).resources.find(({ name }) => name === "pods")!.shortNames).toEqual(["po"]);
    const issuer = await s.config.makeApiClient(WellKnownApi).getServiceAccountIssuerOpenIDConfiguration();
    expect(issuer as unknown).toMatchObject({ issuer: "https://kubernetes.default.svc", response_types_supported: ["id_token"] });
    expect((await s.config.makeApiClient(OpenidApi).getServiceAccountIssuerOpenIDKeyset()) as unknown).toHaveProperty("keys");
    expect((await failure(s.config.makeApiClient(LogsApi).logFileListHandler())).code).toBe(404);
  });
});
