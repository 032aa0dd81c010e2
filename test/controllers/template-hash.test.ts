/** Hashes of pod templates, as clusters of v1.32 print them in the names of their ReplicaSets. */
import { expect, test } from "vitest";
import type { PodTemplateSpec } from "../../src/api/types.generated.ts";
import { templateHash } from "../../src/kube-controller-manager/template-hash.ts";

const DEFAULTS = { restartPolicy: "Always", terminationGracePeriodSeconds: 30, dnsPolicy: "ClusterFirst", securityContext: {}, schedulerName: "default-scheduler" };
const CONTAINER = { resources: {}, terminationMessagePath: "/dev/termination-log", terminationMessagePolicy: "File" };
const PROBE = { periodSeconds: 10, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3 };

const nginx = { metadata: { creationTimestamp: null, labels: { app: "nginx" } }, spec: { ...DEFAULTS, containers: [{ ...CONTAINER, name: "nginx", image: "nginx", imagePullPolicy: "Always" }] } };

/** The CoreDNS that kubeadm v1.32 installs. */
const coredns = {
  metadata: { creationTimestamp: null, labels: { "k8s-app": "kube-dns" } },
  spec: {
    ...DEFAULTS,
    dnsPolicy: "Default", priorityClassName: "system-cluster-critical", serviceAccountName: "coredns", serviceAccount: "coredns", nodeSelector: { "kubernetes.io/os": "linux" },
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: { labelSelector: { matchExpressions: [{ key: "k8s-app", operator: "In", values: ["kube-dns"] }] }, topologyKey: "kubernetes.io/hostname" } }] } },
    tolerations: [{ key: "CriticalAddonsOnly", operator: "Exists" }, { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" }],
    volumes: [{ name: "config-volume", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }], defaultMode: 420 } }],
    containers: [{
      ...CONTAINER,
      name: "coredns", image: "registry.k8s.io/coredns/coredns:v1.11.3", imagePullPolicy: "IfNotPresent", args: ["-conf", "/etc/coredns/Corefile"],
      resources: { limits: { memory: "170Mi" }, requests: { cpu: "100m", memory: "70Mi" } },
      volumeMounts: [{ name: "config-volume", mountPath: "/etc/coredns", readOnly: true }],
      ports: [{ containerPort: 53, name: "dns", protocol: "UDP" }, { containerPort: 53, name: "dns-tcp", protocol: "TCP" }, { containerPort: 9153, name: "metrics", protocol: "TCP" }],
      livenessProbe: { ...PROBE, httpGet: { path: "/health", port: 8080, scheme: "HTTP" }, initialDelaySeconds: 60, timeoutSeconds: 5, failureThreshold: 5 },
      readinessProbe: { ...PROBE, httpGet: { path: "/ready", port: 8181, scheme: "HTTP" } },
      securityContext: { allowPrivilegeEscalation: false, capabilities: { add: ["NET_BIND_SERVICE"], drop: ["ALL"] }, readOnlyRootFilesystem: true },
    }],
  },
};

test.each([["nginx", nginx, "5869d7778c"], ["coredns", coredns, "668d6bf9bc"]])("%s", (_name, template, hash) => {
  expect(templateHash(template as unknown as PodTemplateSpec, undefined)).toBe(hash);
});
