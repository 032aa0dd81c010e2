/**
 * kube-apiserver v1.32's flags by name: their types, what becomes of them here, and pflag's way of reading them. Follows
 * k8s.io/kubernetes/cmd/kube-apiserver/app/options, k8s.io/apiserver/pkg/server/options and github.com/spf13/pflag (flag.go, and a file
 * per type). What upstream has removed is unknown here, too.
 */

type Type = "array" | "bool" | "duration" | "float" | "int" | "ip" | "map" | "string" | "strings";

/**
 * `works`: does what it does upstream. `idle`: nothing to see of it from outside, or nothing to tune: taken and left. `absent`: its thing is
 * not built yet, which is said when it is given.
 */
type Use = "works" | "idle" | "absent";

const TABLE: Readonly<Record<Use, Readonly<Partial<Record<Type, string>>>>> = {
  works: {
    bool: "anonymous-auth disable-http2-serving enable-priority-and-fairness",
    duration: "request-timeout",
    int: "http2-max-streams-per-connection max-mutating-requests-inflight max-requests-inflight secure-port",
    ip: "advertise-address bind-address",
    map: "feature-gates runtime-config",
    string: "client-ca-file service-cluster-ip-range service-node-port-range tls-cert-file tls-min-version tls-private-key-file token-auth-file",
    strings: "authorization-mode disable-admission-plugins enable-admission-plugins",
  },
  idle: {
    bool: "allow-privileged contention-profiling enable-aggregator-routing enable-garbage-collector enable-logs-handler encryption-provider-config-automatic-reload log-json-split-stream " +
      "log-text-split-stream permit-address-sharing permit-port-sharing profiling service-account-lookup shutdown-send-retry-after watch-cache",
    duration: "etcd-compaction-interval etcd-count-metric-poll-period etcd-db-metric-poll-interval etcd-healthcheck-timeout etcd-readycheck-timeout kubelet-timeout livez-grace-period " +
      "log-flush-frequency shutdown-delay-duration shutdown-watch-termination-grace-period storage-initialization-timeout",
    float: "goaway-chance",
    int: "apiserver-count delete-collection-workers lease-reuse-duration-seconds min-request-timeout v",
    string: "endpoint-reconciler-type log-json-info-buffer-size log-text-info-buffer-size logging-format show-hidden-metrics-for-version storage-media-type vmodule",
    strings: "disabled-metrics kubelet-preferred-address-types watch-cache-sizes",
  },
  absent: {
    bool: "aggregator-reject-forwarding-redirect audit-log-batch-throttle-enable audit-log-compress audit-log-truncate-enabled audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled " +
      "enable-bootstrap-token-auth service-account-extend-token-expiration",
    duration: "audit-log-batch-max-wait audit-webhook-batch-max-wait audit-webhook-initial-backoff authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl " +
      "authorization-webhook-cache-unauthorized-ttl event-ttl service-account-max-token-expiration",
    float: "audit-log-batch-throttle-qps audit-webhook-batch-throttle-qps",
    int: "audit-log-batch-buffer-size audit-log-batch-max-size audit-log-batch-throttle-burst audit-log-maxage audit-log-maxbackup audit-log-maxsize audit-log-truncate-max-batch-size " +
      "audit-log-truncate-max-event-size audit-webhook-batch-buffer-size audit-webhook-batch-max-size audit-webhook-batch-throttle-burst audit-webhook-truncate-max-batch-size " +
      "audit-webhook-truncate-max-event-size default-not-ready-toleration-seconds default-unreachable-toleration-seconds kubernetes-service-node-port max-connection-bytes-per-sec",
    map: "allow-metric-labels oidc-required-claim",
    string: "admission-control-config-file allow-metric-labels-manifest audit-log-format audit-log-mode audit-log-path audit-log-version audit-policy-file audit-webhook-config-file audit-webhook-mode " +
      "audit-webhook-version authentication-config authentication-token-webhook-config-file authentication-token-webhook-version authorization-config authorization-policy-file " +
      "authorization-webhook-config-file authorization-webhook-version cert-dir cloud-config cloud-provider debug-socket-path egress-selector-config-file encryption-provider-config etcd-cafile " +
      "etcd-certfile etcd-keyfile etcd-prefix external-hostname kubelet-certificate-authority kubelet-client-certificate kubelet-client-key oidc-ca-file oidc-client-id oidc-groups-claim " +
      "oidc-groups-prefix oidc-issuer-url oidc-username-claim oidc-username-prefix peer-advertise-ip peer-advertise-port peer-ca-file proxy-client-cert-file proxy-client-key-file " +
      "requestheader-client-ca-file service-account-jwks-uri service-account-signing-endpoint service-account-signing-key-file storage-backend tls-sni-cert-key tracing-config-file",
    strings: "admission-control api-audiences cors-allowed-origins emulated-version etcd-servers etcd-servers-overrides oidc-signing-algs requestheader-allowed-names " +
      "requestheader-extra-headers-prefix requestheader-group-headers requestheader-uid-headers requestheader-username-headers service-account-issuer service-account-key-file " +
      "strict-transport-security-directives tls-cipher-suites",
  },
};

/** What a flag stands for when it is read. */
export interface Flag {
  readonly type: Type;
  readonly use: Use;
  readonly shorthand?: string;
}

/** A value: of `duration` in milliseconds. */
export type FlagValue = boolean | number | string | readonly string[] | ReadonlyMap<string, string>;

/** The flags of kube-apiserver. */
export function apiServerFlags(): Map<string, Flag> {
  const flags = new Map<string, Flag>();
  for (const use of ["works", "idle", "absent"] as const) {
    for (const [type, names] of Object.entries(TABLE[use])) for (const name of names.split(" ")) flags.set(name, { type: type as Type, use, ...(name === "v" ? { shorthand: "v" } : {}) });
  }
  return flags;
}

/** Reads a command line. Throws what pflag says. `-h` and `--help` give `{ help: true }`. */
export function parseFlags(args: readonly string[], flags: ReadonlyMap<string, Flag>): { values: Map<string, FlagValue>; help: boolean } {
  const values = new Map<string, FlagValue>();
  const rest: string[] = [];
  let help = false;
  const take = (name: string, flag: Flag, text: string): void => {
    const shown = flag.shorthand === undefined ? `--${name}` : `-${flag.shorthand}, --${name}`;
    setFlag(values, name, flag, text, shown);
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === "--") {
      rest.push(...args.slice(i + 1));
      break;
    }
    if (!arg.startsWith("-") || arg === "-") {
      rest.push(arg);
      continue;
    }
    if (arg.startsWith("--")) {
      const at = arg.indexOf("=");
      const name = arg.slice(2, at < 0 ? undefined : at);
      if (name === "" || name.startsWith("-")) throw new Error(`bad flag syntax: ${arg}`);
      const flag = flags.get(name);
      if (flag === undefined && name === "help") {
        help = true;
        continue;
      }
      if (flag === undefined) throw new Error(`unknown flag: --${name}`);
      if (at >= 0) take(name, flag, arg.slice(at + 1));
      else if (flag.type === "bool") take(name, flag, "true");
      else if (i + 1 < args.length) take(name, flag, args[++i]!);
      else throw new Error(`flag needs an argument: --${name}`);
      continue;
    }
    const letter = arg[1]!;
    const [name, flag] = [...flags].find(([, { shorthand }]) => shorthand === letter) ?? [];
    if (flag === undefined && letter === "h") {
      help = true;
      continue;
    }
    if (flag === undefined) throw new Error(`unknown shorthand flag: '${letter}' in ${arg}`);
    if (arg.length > 2) take(name!, flag, arg.slice(arg[2] === "=" ? 3 : 2));
    else if (i + 1 < args.length) take(name!, flag, args[++i]!);
    else throw new Error(`flag needs an argument: '${letter}' in ${arg}`);
  }
  if (rest.length > 0) throw new Error(`kubewire up does not take any arguments, got ${JSON.stringify(rest)}`);
  return { values, help };
}

/** Takes an object of flags by their names; values may be what the flag is made of, or its text. Throws what pflag says. */
export function flagsOf(given: Readonly<Record<string, unknown>>, flags: ReadonlyMap<string, Flag>): Map<string, FlagValue> {
  const values = new Map<string, FlagValue>();
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const flag = flags.get(name);
    if (flag === undefined) throw new Error(`unknown flag: --${name}`);
    if (flag.type === "array" && Array.isArray(value)) {
      for (const one of value) setFlag(values, name, flag, String(one), `--${name}`);
      continue;
    }
    const text = Array.isArray(value) ? value.join(",") : typeof value === "object" && value !== null ? Object.entries(value).map(([k, v]) => `${k}=${v}`).join(",") : String(value);
    setFlag(values, name, flag, text, `--${name}`);
  }
  return values;
}

function setFlag(values: Map<string, FlagValue>, name: string, { type, use }: Flag, text: string, shown: string): void {
  let value: FlagValue;
  try {
    value = parseValue(type, text, values.get(name));
  } catch (e) {
    throw new Error(`invalid argument ${JSON.stringify(text)} for ${JSON.stringify(shown)} flag: ${(e as Error).message}`);
  }
  if (use === "absent") throw new Error(`--${name} is a flag of kube-apiserver v1.32 whose thing is not built here yet`);
  values.set(name, value);
}

function parseValue(type: Type, text: string, before: FlagValue | undefined): FlagValue {
  switch (type) {
    case "bool": return parseBool(text);
    case "int": return parseInteger(text);
    case "float": {
      if (text === "" || !Number.isFinite(Number(text))) throw new Error(`strconv.ParseFloat: parsing ${JSON.stringify(text)}: invalid syntax`);
      return Number(text);
    }
    case "duration": return parseDuration(text);
    case "ip": {
      if (!isIP(text.trim())) throw new Error(`failed to parse IP: ${JSON.stringify(text)}`);
      return text.trim();
    }
    case "string": return text;
    case "array": return [...((before as readonly string[] | undefined) ?? []), text];
    // Given again, it goes on.
    case "strings": return [...((before as readonly string[] | undefined) ?? []), ...(text === "" ? [] : text.split(","))];
    case "map": {
      const map = new Map(before as ReadonlyMap<string, string> | undefined);
      for (const pair of text.split(",")) {
        if (pair === "") continue;
        const at = pair.indexOf("=");
        map.set((at < 0 ? pair : pair.slice(0, at)).trim(), at < 0 ? "" : pair.slice(at + 1).trim());
      }
      return map;
    }
  }
}

/** Follows strconv.ParseBool. */
export function parseBool(text: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`);
}

/** Follows strconv.ParseInt with base 0. */
function parseInteger(text: string): number {
  const [, sign = "", digits = ""] = /^([+-]?)(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[0-9]+)$/.exec(text) ?? [];
  if (digits === "") throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = /^0[0-7]+$/.test(digits) ? parseInt(digits, 8) : Number(digits);
  if (Number.isNaN(value) || /^0[0-9]*[89]/.test(digits)) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (value >= 2 ** 63) throw new Error(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  return sign === "-" ? -value : value;
}

const UNITS_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, "µs": 1e-3, "μs": 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Follows time.ParseDuration; in milliseconds. */
export function parseDuration(text: string): number {
  const invalid = (): Error => new Error(`time: invalid duration ${JSON.stringify(text)}`);
  const [, sign = "", rest = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (rest === "0") return 0;
  if (rest === "") throw invalid();
  let total = 0;
  const part = /(\d+\.?\d*|\.\d+)([^\d.]*)/y;
  for (let at = 0; at < rest.length; at = part.lastIndex) {
    part.lastIndex = at;
    const found = part.exec(rest);
    if (found === null) throw invalid();
    if (found[2] === "") throw new Error(`time: missing unit in duration ${JSON.stringify(text)}`);
    const unit = UNITS_MS[found[2]!];
    if (unit === undefined) throw new Error(`time: unknown unit ${JSON.stringify(found[2])} in duration ${JSON.stringify(text)}`);
    total += Number(found[1]) * unit;
  }
  return sign === "-" ? -total : total;
}

const isIP = (text: string): boolean => {
  const octets = text.split(".");
  if (octets.length === 4) return octets.every((octet) => /^(?:0|[1-9]\d{0,2})$/.test(octet) && Number(octet) < 256);
  return /^[0-9a-fA-F:]*:[0-9a-fA-F:.]*$/.test(text) && text.split("::").length <= 2 && text.split(":").length <= 8;
};
