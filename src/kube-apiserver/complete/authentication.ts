/**
 * Who asks: client certificates, tokens from a file, service accounts' tokens, nobody. Follows k8s.io/apiserver/pkg/authentication
 * (request/union, request/x509, request/bearertoken, token/tokenfile, request/anonymous) in the order of
 * pkg/kubeapiserver/authenticator, and pkg/endpoints/filters/authentication.go.
 */
import { ApiError } from "../../apimachinery/status.ts";
import type { ApiTransport, HttpMessage, UserInfo } from "../../client/transport.ts";

export interface AuthenticationOptions {
  /** Users by their static tokens (`--token-auth-file`). */
  readonly tokens: ReadonlyMap<string, UserInfo>;
  /** Whether who shows nothing is system:anonymous (`--anonymous-auth`). */
  readonly anonymous: boolean;
}

/** Says who asks. Rejects with 401. `handle` reviews service accounts' tokens. */
export type Authenticate = (message: Pick<HttpMessage, "headers" | "certificate">, handle: ApiTransport) => Promise<UserInfo>;

const ANONYMOUS: UserInfo = { name: "system:anonymous", groups: ["system:unauthenticated"] };
const AUTHENTICATED = "system:authenticated";
const unauthorized = (): ApiError =>
  new ApiError({ kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message: "Unauthorized", reason: "Unauthorized", code: 401 });

/** A user with the group of all who are known (group.AuthenticatedGroupAdder). */
export const known = (user: UserInfo): UserInfo => (user.groups.includes(AUTHENTICATED) || user.groups.includes("system:unauthenticated") ? user : { ...user, groups: [...user.groups, AUTHENTICATED] });

export function authentication({ tokens, anonymous }: AuthenticationOptions): Authenticate {
  const users = new Map([...tokens].map(([token, user]) => [token, known(user)]));
  return async ({ headers, certificate }, handle) => {
    if (certificate !== undefined && certificate !== "invalid") {
      const { commonName, organizations, fingerprint } = certificate;
      return known({ name: commonName, groups: organizations, extra: { "authentication.kubernetes.io/credential-id": [`X509SHA256=${fingerprint}`] } });
    }
    const token = bearer(headers["authorization"]);
    if (token !== undefined) {
      const user = users.get(token) ?? (await serviceAccount(token, handle));
      if (user === undefined) throw unauthorized();
      return user;
    }
    if (certificate === "invalid" || !anonymous) throw unauthorized();
    return ANONYMOUS;
  };
}

/** The token of `Authorization: Bearer TOKEN`. */
function bearer(header = ""): string | undefined {
  const [scheme = "", token = ""] = header.trim().split(" ");
  return scheme.toLowerCase() === "bearer" && token !== "" ? token : undefined;
}

/** What the server's own review says of a token that looks like a service account's. */
async function serviceAccount(token: string, handle: ApiTransport): Promise<UserInfo | undefined> {
  if (token.split(".").length !== 3) return undefined;
  const { body } = await handle({ method: "POST", path: "/apis/authentication.k8s.io/v1/tokenreviews", body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } } });
  const { status } = body as { status?: { authenticated?: boolean; user: { username: string; uid: string; groups: string[]; extra?: Record<string, string[]> } } };
  if (status?.authenticated !== true) return undefined;
  const { username, uid, groups, extra } = status.user;
  return { name: username, uid, groups, ...(extra === undefined ? {} : { extra }) };
}

/**
 * Users by token out of a file of lines `token,user,uid[,"group,group"]`. Throws what upstream says (tokenfile.go: NewCSV).
 */
export function parseTokenFile(text: string): Map<string, UserInfo> {
  const users = new Map<string, UserInfo>();
  for (const record of parseCsv(text)) {
    if (record.length < 3) throw new Error(`token file must have at least 3 columns (token, user name, user uid), found ${record.length}`);
    const [token = "", name = "", uid = "", groups = ""] = record;
    if (token === "") continue;
    users.set(token, { name, uid, groups: record.length >= 4 ? groups.split(",") : [] });
  }
  return users;
}

/** RFC 4180, and `#` begins no comment: as Go's encoding/csv reads it. */
function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let field = "";
  let quoted = false;
  let line = "";
  const endRecord = (): void => {
    if (line !== "") records.push([...record, field]);
    record = [];
    field = "";
    line = "";
  };
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\r" && text[i + 1] === "\n") continue;
    if (quoted) {
      if (c !== '"') field += c;
      else if (text[i + 1] === '"') {
        field += c;
        i++;
      } else quoted = false;
    } else if (c === "\n") endRecord();
    else {
      line += c;
      if (c === '"' && field === "") quoted = true;
      else if (c === ",") {
        record.push(field);
        field = "";
      } else field += c;
    }
  }
  endRecord();
  return records;
}
