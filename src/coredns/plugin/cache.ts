/** Answers kept for their TTL, counted down. Follows coredns plugin/cache. */
import { TYPE, RCODE, type Message, type ResourceRecord } from "../../dns/message.ts";
import { argError, parseError } from "../corefile.ts";
import { definePlugin } from "../plugin.ts";

interface CacheConfig {
  readonly successMax: number;
  readonly denialMax: number;
  readonly entries: number;
}

const MIN_TTL = 5;

export const cache = definePlugin<CacheConfig>({
  name: "cache",
  parse(directive) {
    let successMax = 3600, denialMax = 1800, entries = 9984;
    const seconds = (text: string, at: { file: string; line: number }): number => {
      const value = Number(text);
      if (!/^[0-9]+$/.test(text)) throw parseError(at, `invalid TTL '${text}'`);
      if (value <= 0) throw parseError(at, `cache TTL can not be zero or negative: ${text}`);
      return value;
    };
    const [ttl] = directive.args;
    if (ttl !== undefined && /^-?[0-9]/.test(ttl)) successMax = denialMax = seconds(ttl, directive);
    for (const line of directive.block) {
      if (line.name === "success" || line.name === "denial") {
        if (line.args.length === 0) throw argError(line);
        entries = Number(line.args[0]);
        if (!(entries > 0)) throw parseError(line, `invalid capacity '${line.args[0]}'`);
        if (line.args[1] !== undefined) {
          if (line.name === "success") successMax = seconds(line.args[1], line);
          else denialMax = seconds(line.args[1], line);
        }
      } else if (!["prefetch", "serve_stale", "servfail", "disable", "keepttl"].includes(line.name)) {
        throw argError(line);
      }
    }
    return { successMax, denialMax, entries };
  },
  build({ successMax, denialMax, entries }, next, { clock }) {
    const table = new Map<string, { message: Message; storedMs: number; ttl: number }>();
    return {
      async serveDns(request) {
        const key = `${request.name} ${request.type} ${request.message.edns?.dnssecOk ?? false} ${request.message.checkingDisabled}`;
        const hit = table.get(key);
        const now = clock.nowMs();
        if (hit !== undefined) {
          const age = Math.floor((now - hit.storedMs) / 1000);
          if (age < hit.ttl) return recall(hit.message, request.message, hit.ttl - age);
          table.delete(key);
        }
        const answer = await next.serveDns(request);
        const ttl = keepFor(answer, successMax, denialMax);
        if (ttl > 0 && !answer.truncated) {
          if (table.size >= entries) table.delete(table.keys().next().value!);
          table.set(key, { message: answer, storedMs: now, ttl });
        }
        return ttl > 0 ? recall(answer, request.message, ttl, answer.authoritative) : answer;
      },
    };
  },
});

/** Seconds for which an answer may be kept; 0: not at all (failures, referrals). */
function keepFor(answer: Message, successMax: number, denialMax: number): number {
  const soa = answer.authorities.find(({ data }) => data.type === TYPE.SOA);
  const denial = answer.rcode === RCODE.NXDOMAIN || (answer.rcode === RCODE.NOERROR && answer.answers.length === 0);
  if (answer.rcode !== RCODE.NOERROR && answer.rcode !== RCODE.NXDOMAIN) return 0;
  if (denial && soa === undefined) return 0;
  const all = [...answer.answers, ...answer.authorities, ...answer.additionals];
  let ttl = denial ? denialMax : successMax;
  for (const record of all) ttl = Math.min(ttl, record.ttl);
  if (denial && soa?.data.type === TYPE.SOA) ttl = Math.min(ttl, (soa.data as { minimum: number }).minimum);
  return all.some((record) => record.ttl === 0) ? 0 : Math.max(ttl, Math.min(MIN_TTL, denial ? denialMax : successMax));
}

/** The kept answer for another question of the same name: its id, its spelling, the time that is left. */
function recall(kept: Message, request: Message, ttl: number, authoritative = true): Message {
  const asked = request.questions[0]!.name, keptName = kept.questions[0]?.name;
  const fit = (records: readonly ResourceRecord[]): ResourceRecord[] =>
    records.map((record) => ({ ...record, ttl, name: record.name === keptName ? asked : record.name }));
  return {
    ...kept, id: request.id, questions: request.questions, recursionDesired: request.recursionDesired,
    checkingDisabled: request.checkingDisabled, authoritative,
    answers: fit(kept.answers), authorities: fit(kept.authorities), additionals: fit(kept.additionals),
  };
}
