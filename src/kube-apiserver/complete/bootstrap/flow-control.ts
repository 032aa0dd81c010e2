/** The priority levels and flow schemas of API Priority and Fairness. Follows k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap (default.go). */

type Json = Record<string, unknown>;

const queue = (queues: number, handSize: number): Json => ({ type: "Queue", queuing: { queues, handSize, queueLengthLimit: 50 } });

const limited = (nominalConcurrencyShares: number, limitResponse: Json, lendablePercent: number): Json => ({
  type: "Limited", limited: { nominalConcurrencyShares, limitResponse, lendablePercent },
});

/** The specs of the priority levels by name: the mandatory ones, then the suggested. */
export const priorityLevels = (): Readonly<Record<string, Json>> => ({
  "catch-all": limited(5, { type: "Reject" }, 0),
  exempt: { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  system: limited(30, queue(64, 6), 33),
  "node-high": limited(40, queue(64, 6), 25),
  "leader-election": limited(10, queue(16, 4), 0),
  "workload-high": limited(40, queue(128, 6), 50),
  "workload-low": limited(100, queue(128, 6), 90),
  "global-default": limited(20, queue(128, 6), 50),
});

const user = (name: string): Json => ({ kind: "User", user: { name } });
const group = (name: string): Json => ({ kind: "Group", group: { name } });
const account = (name: string): Json => ({ kind: "ServiceAccount", serviceAccount: { namespace: "kube-system", name } });

/** What a schema matches; `clusterScope` is left out where it is false. */
const resources = (verbs: string[], apiGroup: string, names: string[], namespace = "*", clusterScope = false): Json => ({
  verbs, apiGroups: [apiGroup], resources: names, ...(clusterScope ? { clusterScope } : {}), namespaces: [namespace],
});
const everything = (): Json => ({
  resourceRules: [resources(["*"], "*", ["*"], "*", true)],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
});
const ELECTION = ["get", "create", "update"];
const CANDIDATES = ["endpoints", "configmaps"];

const schema = (level: string, matchingPrecedence: number, by: string | undefined, subjects: Json[], rules: Json = everything()): Json => ({
  priorityLevelConfiguration: { name: level },
  matchingPrecedence,
  ...(by === undefined ? {} : { distinguisherMethod: { type: by } }),
  rules: [{ subjects, ...rules }],
});

/** The specs of the flow schemas by name: the mandatory ones, then the suggested. */
export function flowSchemas(): Readonly<Record<string, Json>> {
  const everybody = [group("system:unauthenticated"), group("system:authenticated")];
  const manager = user("system:kube-controller-manager");
  const scheduler = user("system:kube-scheduler");
  return {
    exempt: schema("exempt", 1, undefined, [group("system:masters")]),
    "catch-all": schema("catch-all", 10_000, "ByUser", everybody),
    "system-nodes": schema("system", 500, "ByUser", [group("system:nodes")]),
    "system-node-high": schema("node-high", 400, "ByUser", [group("system:nodes")], {
      resourceRules: [resources(["*"], "", ["nodes", "nodes/status"], "*", true), resources(["*"], "coordination.k8s.io", ["leases"])],
    }),
    probes: schema("exempt", 2, undefined, everybody, { nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/healthz", "/readyz", "/livez"] }] }),
    "system-leader-election": schema("leader-election", 100, "ByUser", [manager, scheduler, account("*")], {
      resourceRules: [resources(ELECTION, "", CANDIDATES, "kube-system"), resources(ELECTION, "coordination.k8s.io", ["leases"])],
    }),
    "workload-leader-election": schema("leader-election", 200, "ByUser", [account("*")], {
      resourceRules: [resources(ELECTION, "", CANDIDATES), resources(ELECTION, "coordination.k8s.io", ["leases"])],
    }),
    "endpoint-controller": schema("workload-high", 150, "ByUser", [manager, account("endpoint-controller"), account("endpointslicemirroring-controller")], {
      resourceRules: [resources(ELECTION, "", ["endpoints"])],
    }),
    "kube-controller-manager": schema("workload-high", 800, "ByNamespace", [manager]),
    "kube-scheduler": schema("workload-high", 800, "ByNamespace", [scheduler]),
    "kube-system-service-accounts": schema("workload-high", 900, "ByNamespace", [account("*")]),
    "service-accounts": schema("workload-low", 9000, "ByUser", [group("system:serviceaccounts")]),
    "global-default": schema("global-default", 9900, "ByUser", everybody),
  };
}
