/**
 * The add-ons that a cluster comes with: cluster DNS, under the names that kubeadm gives it (cmd/kubeadm/app/phases/addons/dns),
 * less what needs kinds or access control that are not served yet.
 */
import type { Wanted } from "./api/apply.ts";
import { RESOURCES } from "./api/resources.ts";
import type { ConfigMap, Deployment, Service } from "./api/types.generated.ts";
import type { Draft, KubeObject } from "./apimachinery/meta.ts";

export interface AddonOptions {
  readonly clusterDns: string;
  readonly clusterDomain: string;
}

/** CoreDNS's image, in the box. */
export const COREDNS_IMAGE = "registry.k8s.io/coredns/coredns:v1.11.3";

const NAMESPACE = "kube-system";
const LABELS = { "k8s-app": "kube-dns" };

/** What to apply to a cluster that has just been made. */
export const systemObjects = ({ clusterDns, clusterDomain }: AddonOptions): Wanted[] => {
  const config: Draft<ConfigMap> = {
    metadata: { name: "coredns", namespace: NAMESPACE },
    data: { Corefile: corefile(clusterDomain) },
  };
  const service: Draft<Service> = {
    metadata: {
      name: "kube-dns", namespace: NAMESPACE,
      labels: { ...LABELS, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS" },
    },
    spec: {
      clusterIP: clusterDns,
      selector: LABELS,
      ports: [
        { name: "dns", port: 53, protocol: "UDP", targetPort: 53 },
        { name: "dns-tcp", port: 53, protocol: "TCP", targetPort: 53 },
      ],
    },
  };
  const wanted = (resource: Wanted["resource"], object: unknown): Wanted => ({ resource, object: object as KubeObject });
  return [
    wanted(RESOURCES.configMaps, config),
    wanted(RESOURCES.services, service),
    wanted(RESOURCES.deployments, deployment()),
  ];
};

const corefile = (clusterDomain: string): string => `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes ${clusterDomain} in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
`;

const deployment = (): Draft<Deployment> => ({
  metadata: { name: "coredns", namespace: NAMESPACE, labels: LABELS },
  spec: {
    replicas: 2,
    strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
    selector: { matchLabels: LABELS },
    template: {
      metadata: { labels: LABELS },
      spec: {
        priorityClassName: "system-cluster-critical",
        dnsPolicy: "Default",
        tolerations: [
          { key: "CriticalAddonsOnly", operator: "Exists" },
          { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
        ],
        containers: [
          {
            name: "coredns",
            image: COREDNS_IMAGE,
            imagePullPolicy: "IfNotPresent",
            args: ["-conf", "/etc/coredns/Corefile"],
            ports: [
              { name: "dns", containerPort: 53, protocol: "UDP" },
              { name: "dns-tcp", containerPort: 53, protocol: "TCP" },
            ],
            livenessProbe: { httpGet: { path: "/health", port: 8080 }, initialDelaySeconds: 60, timeoutSeconds: 5 },
            readinessProbe: { httpGet: { path: "/ready", port: 8181 } },
            resources: { limits: { memory: "170Mi" }, requests: { cpu: "100m", memory: "70Mi" } },
            volumeMounts: [{ name: "config-volume", mountPath: "/etc/coredns", readOnly: true }],
          },
        ],
        volumes: [{ name: "config-volume", configMap: { name: "coredns", items: [{ key: "Corefile", path: "Corefile" }] } }],
      },
    },
  },
});
