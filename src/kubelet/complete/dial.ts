/** What kubelet's own requests to containers have in common. */
import type { Container } from "../../api/types.generated.ts";
import type { httpRequest } from "../../http/client.ts";

/** How it asks over HTTP. */
export type HttpRequest = typeof httpRequest;

/** A port by number or by the name of a container port (probe/util.go: ResolveContainerPort). */
export function portNumber(port: number | string, container: Container): number {
  if (typeof port === "number") return port;
  const named = (container.ports ?? []).find(({ name }) => name === port);
  return named?.containerPort ?? Number(port);
}

/** As Go's net package words a failed dial. */
export function dialError(host: string, port: number, error: unknown, timedOut: boolean): string {
  const head = `dial tcp ${host.includes(":") ? `[${host}]` : host}:${port}: `;
  if (timedOut) return `${head}i/o timeout`;
  switch ((error as { code?: string }).code) {
    case "ECONNREFUSED": return `${head}connect: connection refused`;
    case "EHOSTUNREACH": return `${head}connect: no route to host`;
    case "ENETUNREACH": return `${head}connect: network is unreachable`;
    case "ETIMEDOUT": return `${head}i/o timeout`;
    case "ECONNRESET": return "read: connection reset by peer";
    default: return "EOF";
  }
}
