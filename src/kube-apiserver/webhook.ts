/** Where webhooks are: of conversion and of admission. Follows k8s.io/apiserver/pkg/util/webhook/client.go. */

/** `clientConfig` of a webhook: one of both. */
export interface WebhookTarget {
  readonly url?: string | undefined;
  readonly service?: { readonly name: string; readonly namespace: string; readonly path?: string | undefined; readonly port?: number | undefined } | undefined;
}

export function webhookUrl({ url, service }: WebhookTarget): string {
  if (url !== undefined) return url;
  const { name, namespace, port = 443, path = "" } = service!;
  return `https://${name}.${namespace}.svc:${port}${path === "" || path.startsWith("/") ? path : `/${path}`}`;
}
