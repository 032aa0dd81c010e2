/**
 * What a whole API server makes before the first request, beyond the namespaces and default/kubernetes: the default roles and their
 * bindings, the system's priority classes, fairness's levels and schemas, the Endpoints of default/kubernetes. Follows
 * pkg/registry/rbac/rest, pkg/registry/scheduling/rest, pkg/registry/flowcontrol/ensurer and pkg/controlplane/reconcilers.
 */
import { CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES } from "./policy.ts";

/** An object to be there, the collection's path (or what it is applied to), and who it is that makes it. */
export interface Initial {
  readonly path: string;
  readonly manager: string;
  readonly object: Readonly<Record<string, unknown>>;
}

type Fields = Readonly<Record<string, unknown>>;

const SERVER = "kube-apiserver";
const FAIRNESS = "api-priority-and-fairness-config-producer-v1";
const RBAC = "rbac.authorization.k8s.io";
const CONSUMER = "api-priority-and-fairness-config-consumer-v1";
const ALL = ["*"];

/** `address` and `port` are where the server is reached. */
export function initialObjects(address: string, port: number, now: string): Initial[] {
  const schemas = flowSchemas();
  return [...roles(), ...bindings(), ...priorityClasses(), ...priorityLevels(), ...schemas, ...schemas.map((schema) => found(schema, now)), {
    path: "/api/v1/namespaces/default/endpoints",
    manager: SERVER,
    object: {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: { name: "kubernetes", namespace: "default", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
      subsets: [{ addresses: [{ ip: address }], ports: [{ name: "https", port, protocol: "TCP" }] }],
    },
  }];
}

/** Blocks of a table: a head that is not indented, and the indented lines that follow. */
function blocks(table: string): { head: string; lines: string[] }[] {
  const found: { head: string; lines: string[] }[] = [];
  for (const line of table.trim().replace(/,\n +/g, ",").split("\n")) {
    if (line.startsWith(" ")) found[found.length - 1]!.lines.push(line.trim());
    else found.push({ head: line, lines: [] });
  }
  return found;
}

function rbac(kind: string, namespace: string | undefined, name: string, fields: Fields, labels: Fields = {}): Initial {
  return {
    path: `/apis/${RBAC}/v1/${namespace === undefined ? "" : `namespaces/${namespace}/`}${kind.toLowerCase()}s`,
    manager: SERVER,
    object: {
      apiVersion: `${RBAC}/v1`,
      kind,
      metadata: {
        name,
        ...(namespace === undefined ? {} : { namespace }),
        labels: { "kubernetes.io/bootstrapping": "rbac-defaults", ...labels },
        annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
      },
      ...fields,
    },
  };
}

function rule(line: string): Fields {
  const [verbs, groups, resources, names] = line.split(" ").map((word) => word.split(","));
  if (groups![0] === "url") return { verbs, nonResourceURLs: resources };
  return { verbs, apiGroups: groups!.map((group) => (group === "core" ? "" : group)), resources, ...(names && { resourceNames: names }) };
}

const aggregatedTo = (role: string): Fields => ({ [`${RBAC}/aggregate-to-${role}`]: "true" });

function roles(): Initial[] {
  const found: Initial[] = [];
  // Who sees less is part of who sees more.
  for (const [name, part] of [["admin", undefined], ["edit", "admin"], ["view", "edit"]] as const) {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: aggregatedTo(name) }] };
    found.push(rbac("ClusterRole", undefined, name, { aggregationRule, rules: null }, part && aggregatedTo(part)));
  }
  for (const { head, lines } of blocks(CLUSTER_ROLES)) {
    const part = /^system:aggregate-to-(.*)$/.exec(head)?.[1];
    found.push(rbac("ClusterRole", undefined, head, { rules: lines.map(rule) }, part === undefined ? {} : aggregatedTo(part)));
  }
  for (const { head, lines } of blocks(ROLES)) {
    const [namespace, name] = head.split("/");
    found.push(rbac("Role", namespace, name!, { rules: lines.map(rule) }));
  }
  return found;
}

/** `User:NAME`, `Group:NAME` or `ServiceAccount:NAMESPACE/NAME`. */
function subject(text: string): Fields {
  const at = text.indexOf(":");
  const kind = text.slice(0, at);
  const name = text.slice(at + 1);
  if (kind !== "ServiceAccount") return { kind, apiGroup: RBAC, name };
  return { kind, name: name.split("/")[1], namespace: name.split("/")[0] };
}

function binding(kind: "ClusterRole" | "Role", namespace: string | undefined, name: string, role: string, subjects: readonly string[]): Initial {
  return rbac(`${kind}Binding`, namespace, name, {
    ...(subjects.length > 0 && { subjects: subjects.map(subject) }),
    roleRef: { apiGroup: RBAC, kind, name: role },
  });
}

function bindings(): Initial[] {
  const controllers = blocks(CLUSTER_ROLES).map(({ head }) => head).filter((name) => name.startsWith("system:controller:"));
  return [
    ...blocks(CLUSTER_ROLE_BINDINGS).map(({ head }) => {
      const [role, ...subjects] = head.split(" ");
      return binding("ClusterRole", undefined, role!, role!, subjects);
    }),
    ...controllers.map((name) => binding("ClusterRole", undefined, name, name, [`ServiceAccount:kube-system/${name.split(":")[2]}`])),
    ...blocks(ROLE_BINDINGS).map(({ head, lines }) => {
      const [namespace, name, role] = head.split(/[/=]/);
      return binding("Role", namespace, name!, role ?? name!, lines);
    }),
  ];
}

function priorityClasses(): Initial[] {
  const whole = (name: string, value: number, description: string): Initial => ({
    path: "/apis/scheduling.k8s.io/v1/priorityclasses",
    manager: SERVER,
    object: { apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name }, value, description, preemptionPolicy: "PreemptLowerPriority" },
  });
  return [
    whole("system-node-critical", 2_000_001_000, "Used for system critical pods that must not be moved from their current node."),
    whole("system-cluster-critical", 2_000_000_000, "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
  ];
}

function fairness(kind: string, name: string, spec: Fields): Initial {
  return {
    path: `/apis/flowcontrol.apiserver.k8s.io/v1/${kind.toLowerCase()}s`,
    manager: FAIRNESS,
    object: { apiVersion: "flowcontrol.apiserver.k8s.io/v1", kind, metadata: { name, annotations: { "apf.kubernetes.io/autoupdate-spec": "true" } }, spec },
  };
}

/** Concurrency shares, percent that may be lent, queues and hand size of each level. */
const LEVELS: Readonly<Record<string, readonly [number, number, number, number]>> = {
  "global-default": [20, 50, 128, 6],
  "leader-election": [10, 0, 16, 4],
  "node-high": [40, 25, 64, 6],
  system: [30, 33, 64, 6],
  "workload-high": [40, 50, 128, 6],
  "workload-low": [100, 90, 128, 6],
};

function priorityLevels(): Initial[] {
  const level = (name: string, spec: Fields): Initial => fairness("PriorityLevelConfiguration", name, spec);
  const limited = (nominalConcurrencyShares: number, lendablePercent: number, limitResponse: Fields): Fields =>
    ({ type: "Limited", limited: { nominalConcurrencyShares, limitResponse, lendablePercent } });
  return [
    level("exempt", { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } }),
    level("catch-all", limited(5, 0, { type: "Reject" })),
    ...Object.entries(LEVELS).map(([name, [shares, lendable, queues, handSize]]) =>
      level(name, limited(shares, lendable, { type: "Queue", queuing: { queues, handSize, queueLengthLimit: 50 } }))),
  ];
}

/** The status of a schema whose level exists. */
function found({ path, object }: Initial, lastTransitionTime: string): Initial {
  const { name } = object["metadata"] as { name: string };
  const level = (object["spec"] as { priorityLevelConfiguration: { name: string } }).priorityLevelConfiguration.name;
  const message = `This FlowSchema references the PriorityLevelConfiguration object named "${level}" and it exists`;
  return {
    path: `${path}/${name}/status?fieldManager=${CONSUMER}&force=true`,
    manager: CONSUMER,
    object: {
      apiVersion: object["apiVersion"],
      kind: object["kind"],
      metadata: { name },
      status: { conditions: [{ type: "Dangling", status: "False", lastTransitionTime, reason: "Found", message }] },
    },
  };
}

const user = (name: string): Fields => ({ kind: "User", user: { name } });
const group = (name: string): Fields => ({ kind: "Group", group: { name } });
const account = (name: string): Fields => ({ kind: "ServiceAccount", serviceAccount: { namespace: "kube-system", name } });
const everybody = [group("system:unauthenticated"), group("system:authenticated")];
const anything: Fields = {
  resourceRules: [{ verbs: ALL, apiGroups: ALL, resources: ALL, clusterScope: true, namespaces: ALL }],
  nonResourceRules: [{ verbs: ALL, nonResourceURLs: ALL }],
};
const election = (apiGroup: string, resources: readonly string[], namespaces: readonly string[] = ALL): Fields =>
  ({ verbs: ["get", "create", "update"], apiGroups: [apiGroup], resources, namespaces });

function flowSchemas(): Initial[] {
  const schema = (name: string, level: string, matchingPrecedence: number, by: string | undefined, subjects: readonly Fields[], rules: Fields): Initial =>
    fairness("FlowSchema", name, {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(by !== undefined && { distinguisherMethod: { type: by } }),
      rules: [{ subjects, ...rules }],
    });
  const manager = user("system:kube-controller-manager");
  const scheduler = user("system:kube-scheduler");
  const leases = election("coordination.k8s.io", ["leases"]);
  return [
    schema("exempt", "exempt", 1, undefined, [group("system:masters")], anything),
    schema("probes", "exempt", 2, undefined, everybody, { nonResourceRules: [{ verbs: ["get"], nonResourceURLs: ["/healthz", "/readyz", "/livez"] }] }),
    schema("system-leader-election", "leader-election", 100, "ByUser", [manager, scheduler, account("*")],
      { resourceRules: [election("", ["endpoints", "configmaps"], ["kube-system"]), leases] }),
    schema("endpoint-controller", "workload-high", 150, "ByUser", [manager, account("endpoint-controller"), account("endpointslicemirroring-controller")],
      { resourceRules: [election("", ["endpoints"])] }),
    schema("workload-leader-election", "leader-election", 200, "ByUser", [account("*")], { resourceRules: [election("", ["endpoints", "configmaps"]), leases] }),
    schema("system-node-high", "node-high", 400, "ByUser", [group("system:nodes")], {
      resourceRules: [
        { verbs: ALL, apiGroups: [""], resources: ["nodes", "nodes/status"], clusterScope: true, namespaces: ALL },
        { verbs: ALL, apiGroups: ["coordination.k8s.io"], resources: ["leases"], namespaces: ALL },
      ],
    }),
    schema("system-nodes", "system", 500, "ByUser", [group("system:nodes")], anything),
    schema("kube-controller-manager", "workload-high", 800, "ByNamespace", [manager], anything),
    schema("kube-scheduler", "workload-high", 800, "ByNamespace", [scheduler], anything),
    schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", [account("*")], anything),
    schema("service-accounts", "workload-low", 9000, "ByUser", [group("system:serviceaccounts")], anything),
    schema("global-default", "global-default", 9900, "ByUser", everybody, anything),
    schema("catch-all", "catch-all", 10_000, "ByUser", everybody, anything),
  ];
}
