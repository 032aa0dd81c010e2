/**
 * The default RBAC policy as tables. Follows plugin/pkg/auth/authorizer/rbac/bootstrappolicy (policy.go,
 * controller_policy.go, namespace_policy.go); {@link readRoles} tells the notation.
 */

export interface PolicyRule {
  verbs: readonly string[];
  apiGroups?: readonly string[];
  resources?: readonly string[];
  resourceNames?: readonly string[];
  nonResourceURLs?: readonly string[];
}

export interface PolicyRole {
  readonly name: string;
  /** What the role is a part of: `admin`, `edit`, `view`. */
  readonly partOf: string | undefined;
  /** The role whose parts make up this one; it has no rules of its own. */
  readonly whole: boolean;
  readonly rules: readonly PolicyRule[];
}

const VERBS: Readonly<Record<string, string>> = { c: "create", d: "delete", D: "deletecollection", g: "get", l: "list", p: "patch", u: "update", w: "watch" };

/** Groups by the short names they have in the tables; others stand for themselves. */
const GROUPS: Readonly<Record<string, string>> = {
  core: "", admission: "admissionregistration.k8s.io", authn: "authentication.k8s.io", authz: "authorization.k8s.io", certs: "certificates.k8s.io",
  coord: "coordination.k8s.io", discovery: "discovery.k8s.io", events: "events.k8s.io", net: "networking.k8s.io", node: "node.k8s.io",
  rbac: "rbac.authorization.k8s.io", storage: "storage.k8s.io",
};

/** Recording what happens: all that tell events may do this. */
const EVENTS = "cpu core,events events";

/**
 * Roles out of a table. A line `= NAME` starts one (`= NAME < WHOLE` is a part of WHOLE, `= NAME < WHOLE *` is also made up of
 * parts itself); the lines after it are its rules: `VERBS GROUPS RESOURCES [NAMES]`, each a list with commas, or `VERBS /PATHS`.
 * Verbs are letters (create, delete, Deletecollection, get, list, patch, update, watch) or words. `+events` is the rule of those
 * that record events. Lists are sorted, as PolicyRuleBuilder.Rule does.
 */
export function readRoles(table: string): PolicyRole[] {
  const roles: (PolicyRole & { rules: PolicyRule[] })[] = [];
  for (const line of table.split("\n")) {
    if (line === "") continue;
    if (!line.startsWith("= ")) roles[roles.length - 1]!.rules.push(readRule(line === "+events" ? EVENTS : line));
    else {
      const [, name = "", ...rest] = line.split(" ");
      roles.push({ name, partOf: rest[0] === "<" ? rest[1] : undefined, whole: rest.includes("*"), rules: [] });
    }
  }
  return roles;
}

const sorted = (list: string): string[] => list.split(",").sort();

function readRule(line: string): PolicyRule {
  const [letters = "", where = "", resources = "", names] = line.split(" ");
  const verbs = letters.split(",").flatMap((word) => (/^[cdDglpuw]+$/.test(word) ? [...word].map((letter) => VERBS[letter]!) : [word])).sort();
  if (resources === "") return { verbs, nonResourceURLs: sorted(where) };
  return {
    verbs,
    apiGroups: where.split(",").map((group) => GROUPS[group] ?? group).sort(),
    resources: sorted(resources),
    ...(names === undefined ? {} : { resourceNames: sorted(names) }),
  };
}

/** The cluster's roles, before those of the controllers; those of OpenShift's build, which is the recorded one, included. */
export const CLUSTER_ROLES = `
= cluster-admin
* * *
* *
= system:discovery
g /livez,/readyz,/healthz,/version,/version/,/openapi,/openapi/*,/api,/api/*,/apis,/apis/*
= system:monitoring
g /metrics,/metrics/slis,/livez,/readyz,/healthz,/livez/*,/readyz/*,/healthz/*
= system:basic-user
c authz selfsubjectaccessreviews,selfsubjectrulesreviews
c authn selfsubjectreviews
= system:public-info-viewer
g /livez,/readyz,/healthz,/version,/version/
= admin *
= edit < admin *
= view < edit *
= system:aggregate-to-admin < admin
c authz localsubjectaccessreviews
cdDglpuw rbac roles,rolebindings
= system:aggregate-to-edit < edit
glw core pods/attach,pods/proxy,pods/exec,pods/portforward,secrets,services/proxy
impersonate core serviceaccounts
cdDpu core pods,pods/attach,pods/proxy,pods/exec,pods/portforward
c core pods/eviction
cdDpu core replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/proxy,endpoints,persistentvolumeclaims,configmaps,secrets,events
c core serviceaccounts/token
cdDpu apps statefulsets,statefulsets/scale,daemonsets,deployments,deployments/scale,deployments/rollback,replicasets,replicasets/scale
cdDpu autoscaling horizontalpodautoscalers
cdDpu batch jobs,cronjobs
cdDpu extensions daemonsets,deployments,deployments/scale,deployments/rollback,ingresses,replicasets,replicasets/scale,replicationcontrollers/scale,networkpolicies
cdDpu policy poddisruptionbudgets
cdDpu net networkpolicies,ingresses
cdDglpuw coord leases
= system:aggregate-to-view < view
glw core pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,configmaps
glw core limitranges,resourcequotas,bindings,events,pods/status,resourcequotas/status,namespaces/status,replicationcontrollers/status,pods/log
glw core namespaces
glw discovery endpointslices
glw apps controllerrevisions,statefulsets,statefulsets/status,statefulsets/scale,daemonsets,daemonsets/status,deployments,deployments/status,deployments/scale,replicasets,replicasets/status,replicasets/scale
glw autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status
glw batch jobs,jobs/status,cronjobs,cronjobs/status
glw extensions daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale,networkpolicies
glw policy poddisruptionbudgets,poddisruptionbudgets/status
glw net networkpolicies,ingresses,ingresses/status
= system:heapster
glw core events,pods,nodes,namespaces
glw extensions deployments
= system:node
c authn tokenreviews
c authz subjectaccessreviews,localsubjectaccessreviews
glw core services
cglw core nodes
up core nodes/status
up core nodes
cup core events
glw core pods
cd core pods
up core pods/status
c core pods/eviction
glw core secrets,configmaps
g core persistentvolumeclaims,persistentvolumes
g core endpoints
cglw certs certificatesigningrequests
gcupd coord leases
g storage volumeattachments
c core serviceaccounts/token
gup core persistentvolumeclaims/status
glw storage csidrivers
gcupd storage csinodes
glw node runtimeclasses
= system:node-problem-detector
g core nodes
p core nodes/status
+events
= system:kubelet-api-admin
glw core nodes
proxy core nodes
* core nodes/proxy,nodes/metrics,nodes/log,nodes/stats
= system:node-bootstrapper
cglw certs certificatesigningrequests
= system:auth-delegator
c authn tokenreviews
c authz subjectaccessreviews
= system:kube-aggregator
glw core services,endpoints
= system:kube-controller-manager
+events
c coord leases
gu coord leases kube-controller-manager
c core secrets,serviceaccounts
d core secrets
g core namespaces,secrets,serviceaccounts,configmaps
u core secrets,serviceaccounts
c authn tokenreviews
c authz subjectaccessreviews
lw * *
c core serviceaccounts/token
= system:kube-dns
lw core endpoints,services
= system:persistent-volume-provisioner
glwcd core persistentvolumes
glwu core persistentvolumeclaims
glw storage storageclasses
w core events
+events
= system:certificates.k8s.io:certificatesigningrequests:nodeclient
c certs certificatesigningrequests/nodeclient
= system:certificates.k8s.io:certificatesigningrequests:selfnodeclient
c certs certificatesigningrequests/selfnodeclient
= system:openshift:public-info-viewer
g /.well-known,/.well-known/*
= system:volume-scheduler
glwpu core persistentvolumes
glw storage storageclasses
glwpu core persistentvolumeclaims
= system:certificates.k8s.io:legacy-unknown-approver
approve certs signers kubernetes.io/legacy-unknown
= system:certificates.k8s.io:kubelet-serving-approver
approve certs signers kubernetes.io/kubelet-serving
= system:certificates.k8s.io:kube-apiserver-client-approver
approve certs signers kubernetes.io/kube-apiserver-client
= system:certificates.k8s.io:kube-apiserver-client-kubelet-approver
approve certs signers kubernetes.io/kube-apiserver-client-kubelet
= system:service-account-issuer-discovery
g /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/
= system:node-proxier
lw core services,endpoints
glw core nodes
+events
lw discovery endpointslices
= system:kube-scheduler
+events
c coord leases
gluw coord leases kube-scheduler
cdDglpuw coord leasecandidates
glw core nodes
glwd core pods
c core pods/binding,bindings
pu core pods/status
glw core replicationcontrollers,services
glw apps,extensions replicasets
glw apps statefulsets
glw policy poddisruptionbudgets
glw core persistentvolumeclaims,persistentvolumes
c authn tokenreviews
c authz subjectaccessreviews
glw storage csinodes
glw storage volumeattachments
glw core namespaces
glw storage csidrivers
glw storage csistoragecapacities
`;

/** The roles of the controllers, each bound to the service account of its name in kube-system. */
export const CONTROLLER_ROLES = `
= attachdetach-controller
lw core persistentvolumes,persistentvolumeclaims
glw core nodes
pu core nodes/status
lw core pods
+events
glwcd storage volumeattachments
glw storage csidrivers
glw storage csinodes
= clusterrole-aggregation-controller
escalate,glpuw rbac clusterroles
= cronjob-controller
glwu batch cronjobs
glwcudp batch jobs
u batch cronjobs/status
u batch cronjobs/finalizers
lwd core pods
+events
= daemon-set-controller
glw extensions,apps daemonsets
u extensions,apps daemonsets/status
u extensions,apps daemonsets/finalizers
lw core nodes
lwcdp core pods
c core pods/binding
glwcdup apps controllerrevisions
+events
= deployment-controller
glwu extensions,apps deployments
u extensions,apps deployments/status
u extensions,apps deployments/finalizers
glwcupd extensions,apps replicasets
gluw core pods
+events
= disruption-controller
glw extensions,apps deployments
glw extensions,apps replicasets
glw core replicationcontrollers
glw policy poddisruptionbudgets
glw apps statefulsets
u policy poddisruptionbudgets/status
pu core pods/status
g * */scale
+events
= endpoint-controller
glw core services,pods
glwcud core endpoints
c core endpoints/restricted
+events
= endpointslice-controller
glw core services,pods,nodes
u core services/finalizers
glwcud discovery endpointslices
c discovery endpointslices/restricted
+events
= endpointslicemirroring-controller
glw core services,endpoints
u core services/finalizers
u core endpoints/finalizers
glwcud discovery endpointslices
c discovery endpointslices/restricted
+events
= expand-controller
glwup core persistentvolumes
up core persistentvolumeclaims/status
glw core persistentvolumeclaims
+events
g core services
= ephemeral-volume-controller
glw core pods
u core pods/finalizers
glwc core persistentvolumeclaims
+events
= generic-garbage-collector
glwpud * *
+events
= horizontal-pod-autoscaler
glw autoscaling horizontalpodautoscalers
u autoscaling horizontalpodautoscalers/status
gu * */scale
lw core pods
lw metrics.k8s.io pods
glw custom.metrics.k8s.io *
glw external.metrics.k8s.io *
+events
= job-controller
glwup batch jobs
u batch jobs/status
u batch jobs/finalizers
lwcdp core pods
+events
= namespace-controller
glwd core namespaces
u core namespaces/finalize,namespaces/status
glwdD * *
= node-controller
gluwpd core nodes
pu core nodes/status
pu core pods/status
glwd core pods
+events
= persistent-volume-binder
glwucd core persistentvolumes
u core persistentvolumes/status
glwu core persistentvolumeclaims
u core persistentvolumeclaims/status
glwcd core pods
glw storage storageclasses
lw core nodes
+events
w core events
g core services
= pod-garbage-collector
lwd core pods
glw core nodes
p core pods/status
= replicaset-controller
glwu extensions,apps replicasets
u extensions,apps replicasets/status
u extensions,apps replicasets/finalizers
lwpcd core pods
+events
= replication-controller
glwu core replicationcontrollers
u core replicationcontrollers/status
u core replicationcontrollers/finalizers
lwpcd core pods
+events
= resourcequota-controller
lw * *
u core resourcequotas/status
+events
= route-controller
lw core nodes
p core nodes/status
+events
= service-account-controller
c core serviceaccounts
+events
= service-controller
glw core services
pu core services/status
lw core nodes
+events
= statefulset-controller
lw core pods
glw apps statefulsets
u apps statefulsets/status
u apps statefulsets/finalizers
gcdup core pods
glwcupd apps controllerrevisions
glwc core persistentvolumeclaims
+events
ud core persistentvolumeclaims
u core pods/finalizers
= ttl-controller
uplw core nodes
+events
= certificate-controller
glwd certs certificatesigningrequests
u certs certificatesigningrequests/status,certificatesigningrequests/approval
approve certs signers kubernetes.io/kube-apiserver-client-kubelet
sign certs signers kubernetes.io/legacy-unknown,kubernetes.io/kubelet-serving,kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet
c authz subjectaccessreviews
+events
= pvc-protection-controller
glwu core persistentvolumeclaims
glw core pods
+events
= pv-protection-controller
glwu core persistentvolumes
+events
= ttl-after-finished-controller
glwd batch jobs
+events
= root-ca-cert-publisher
cu core configmaps
+events
= validatingadmissionpolicy-status-controller
glw admission validatingadmissionpolicies
gpu admission validatingadmissionpolicies/status
+events
= service-ca-cert-publisher
cu core configmaps
+events
= legacy-service-account-token-cleaner
g core configmaps kube-apiserver-legacy-service-account-token-tracking
pd core secrets
`;

/** The cluster's bindings beside the controllers': a role (of the same name), and its subjects as {@link readSubjects} has them. */
export const CLUSTER_ROLE_BINDINGS = `
cluster-admin group=system:masters
system:monitoring group=system:monitoring
system:discovery group=system:authenticated
system:basic-user group=system:authenticated
system:public-info-viewer group=system:authenticated group=system:unauthenticated
system:openshift:public-info-viewer group=system:authenticated group=system:unauthenticated
system:node-proxier user=system:kube-proxy
system:kube-controller-manager user=system:kube-controller-manager
system:kube-dns account=kube-dns
system:kube-scheduler user=system:kube-scheduler
system:volume-scheduler user=system:kube-scheduler
system:node
system:service-account-issuer-discovery group=system:serviceaccounts
`;

/** The roles in namespaces. */
export const NAMESPACE_ROLES: Readonly<Record<string, string>> = {
  "kube-system": `
= extension-apiserver-authentication-reader
glw core configmaps extension-apiserver-authentication
= system:controller:bootstrap-signer
glw core secrets
= system:controller:cloud-provider
cglw core configmaps
= system:controller:token-cleaner
glwd core secrets
+events
= system::leader-locking-kube-controller-manager
w core configmaps
gu core configmaps kube-controller-manager
cgluw coord leases
cgluw coord leasecandidates
= system::leader-locking-kube-scheduler
w core configmaps
gu core configmaps kube-scheduler
cgluw coord leases
cgluw coord leasecandidates
`,
  "kube-public": `
= system:controller:bootstrap-signer
glw core configmaps
u core configmaps cluster-info
+events
`,
};

/** The bindings in namespaces: the name, `>` and the role where it is another, the subjects. */
export const NAMESPACE_ROLE_BINDINGS: Readonly<Record<string, string>> = {
  "kube-system": `
system::extension-apiserver-authentication-reader > extension-apiserver-authentication-reader user=system:kube-controller-manager user=system:kube-scheduler
system::leader-locking-kube-controller-manager user=system:kube-controller-manager account=kube-controller-manager account=leader-election-controller
system::leader-locking-kube-scheduler user=system:kube-scheduler account=kube-scheduler
system:controller:bootstrap-signer account=bootstrap-signer
system:controller:cloud-provider account=cloud-provider
system:controller:token-cleaner account=token-cleaner
`,
  "kube-public": `
system:controller:bootstrap-signer account=bootstrap-signer
`,
};

export interface Subject {
  readonly kind: string;
  readonly apiGroup?: string;
  readonly name: string;
  readonly namespace?: string;
}

export interface PolicyBinding {
  readonly name: string;
  readonly role: string;
  readonly subjects: readonly Subject[];
}

/** Bindings out of a table: `account` is a service account in kube-system. */
export function readBindings(table: string): PolicyBinding[] {
  return table.split("\n").filter((line) => line !== "").map((line) => {
    const [name = "", ...words] = line.split(" ");
    const role = words[0] === ">" ? words.splice(0, 2)[1]! : name;
    return { name, role, subjects: words.map(readSubject) };
  });
}

function readSubject(word: string): Subject {
  const [what, name = ""] = word.split("=");
  if (what === "account") return { kind: "ServiceAccount", name, namespace: "kube-system" };
  return { kind: what === "user" ? "User" : "Group", apiGroup: GROUPS["rbac"]!, name };
}
