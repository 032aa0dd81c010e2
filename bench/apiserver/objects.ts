/** The objects that the API server benches create. */
export const configMap = (n: number): Record<string, unknown> => ({
  apiVersion: "v1", kind: "ConfigMap", metadata: { name: `c-${n}`, namespace: "default" }, data: { key: `value ${n}` },
});

/** A small pod, as a Deployment makes them. */
export const pod = (n: number): Record<string, unknown> => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: `p-${n}`, namespace: "default", labels: { app: "web", "pod-template-hash": "6c56f886d" } },
  spec: {
    containers: [{
      name: "web", image: "nginx:1.27", ports: [{ containerPort: 80 }],
      resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { memory: "128Mi" } },
      readinessProbe: { httpGet: { path: "/", port: 80 } },
    }],
  },
});

export const SERVICE_ACCOUNT = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } };
export const PODS = 5000;
