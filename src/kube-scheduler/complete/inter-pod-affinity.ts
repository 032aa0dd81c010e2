/**
 * InterPodAffinity: pods that want, or must have, others near them or far away.
 * Follows pkg/scheduler/framework/plugins/interpodaffinity (filtering.go, scoring.go).
 */
import type { Node, Pod, PodAffinityTerm } from "../../api/types.generated.ts";
import { labelSelector, matches } from "../../apimachinery/selectors.ts";
import type { Labels, Requirement, Selector } from "../../apimachinery/selectors.ts";
import { MAX_SCORE, SKIP } from "../framework.ts";
import type { Cycle, NodeInfo, Plugin, PodInfo, Rejection } from "../framework.ts";
import type { Handle } from "../scheduler.ts";

const NAME = "InterPodAffinity";
const SCORING = `${NAME} scoring`;

const refused = (reason: string, unresolvable = false): Rejection => ({ reasons: [reason], unresolvable, plugin: NAME });
const AFFINITY = refused("node(s) didn't match pod affinity rules", true);
const ANTI_AFFINITY = refused("node(s) didn't match pod anti-affinity rules");
const EXISTING = refused("node(s) didn't satisfy existing pods anti-affinity rules");

interface Term {
  readonly topologyKey: string;
  readonly selector: Selector;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceSelector: Selector | undefined;
  /** 0: it is required. */
  readonly weight: number;
}

interface Terms {
  readonly affinity: readonly Term[];
  readonly antiAffinity: readonly Term[];
  readonly preferred: readonly Term[];
  readonly preferredAnti: readonly Term[];
}

/** How many pods match, by `KEY=VALUE` of the topology. */
type Counts = Map<string, number>;

interface State {
  readonly terms: Terms;
  readonly namespaceLabels: Labels;
  /** Existing pods whose required anti-affinity refuses the pod. */
  readonly existing: Counts;
  readonly affinity: Counts;
  readonly antiAffinity: Counts;
}

const pair = (key: string, value: string): string => `${key}=${value}`;
const bump = (counts: Counts, key: string, by: number): void => void counts.set(key, (counts.get(key) ?? 0) + by);

export function interPodAffinity({ informers, cache }: Handle, hardPodAffinityWeight = 1): Plugin {
  const namespaces = informers.informer("namespaces");
  const labelsOf = (namespace: string): Labels => namespaces.get("", namespace)?.metadata.labels;

  const termMatches = ({ namespaces: names, namespaceSelector, selector }: Term, { metadata: { namespace = "", labels } }: Pod, namespaceLabels: () => Labels): boolean =>
    (names.has(namespace) || (namespaceSelector !== undefined && matches(namespaceSelector, namespaceLabels()))) && matches(selector, labels);
  const termMatchesPod = (term: Term, pod: Pod): boolean => termMatches(term, pod, () => labelsOf(pod.metadata.namespace ?? ""));
  /** A pod answers to required affinity only if all its terms match it (podMatchesAllAffinityTerms). */
  const allMatch = (terms: readonly Term[], pod: Pod): boolean => terms.length > 0 && terms.every((term) => termMatchesPod(term, pod));

  const countExisting = (state: State, incoming: Pod, info: PodInfo, { metadata: { labels = {} } }: Node, by: number): void => {
    for (const term of termsOf(info).antiAffinity) {
      const value = labels[term.topologyKey];
      if (value !== undefined && termMatches(term, incoming, () => state.namespaceLabels)) bump(state.existing, pair(term.topologyKey, value), by);
    }
  };
  const countIncoming = (state: State, pod: Pod, { metadata: { labels = {} } }: Node, by: number): void => {
    const { terms } = state;
    if (allMatch(terms.affinity, pod)) {
      for (const { topologyKey } of terms.affinity) if (labels[topologyKey] !== undefined) bump(state.affinity, pair(topologyKey, labels[topologyKey]), by);
    }
    for (const term of terms.antiAffinity) {
      const value = labels[term.topologyKey];
      if (value !== undefined && termMatchesPod(term, pod)) bump(state.antiAffinity, pair(term.topologyKey, value), by);
    }
  };
  const change = (cycle: Cycle, info: PodInfo, { node }: NodeInfo, by: 1 | -1): void => {
    const state = cycle.state.get(NAME) as State;
    countExisting(state, cycle.info.pod, info, node, by);
    countIncoming(state, info.pod, node, by);
  };

  return {
    name: NAME,
    weight: 2,
    events: [
      { resource: "AssignedPod", actions: ["Add", "Delete", "Update"] },
      { resource: "Node", actions: ["Add", "UpdateLabel"] },
    ],
    preFilter({ info, nodes, state: kept }) {
      const terms = termsOf(info);
      const state: State = { terms, namespaceLabels: labelsOf(info.pod.metadata.namespace ?? ""), existing: new Map(), affinity: new Map(), antiAffinity: new Map() };
      const asks = terms.affinity.length > 0 || terms.antiAffinity.length > 0;
      for (const { node, withAffinity } of cache.affinityNodes) for (const other of withAffinity) countExisting(state, info.pod, other, node, 1);
      if (asks) for (const { node, pods } of nodes) for (const { pod } of pods.values()) countIncoming(state, pod, node, 1);
      if (!asks && state.existing.size === 0) return SKIP;
      kept.set(NAME, state);
      return undefined;
    },
    addPod: (cycle, pod, node) => change(cycle, pod, node, 1),
    removePod: (cycle, pod, node) => change(cycle, pod, node, -1),
    filter({ info, state: kept }, { node: { metadata: { labels = {} } } }) {
      const { terms, existing, affinity, antiAffinity } = kept.get(NAME) as State;
      if (terms.affinity.length > 0) {
        let all = true;
        for (const { topologyKey } of terms.affinity) {
          const value = labels[topologyKey];
          if (value === undefined) return AFFINITY;
          if ((affinity.get(pair(topologyKey, value)) ?? 0) <= 0) all = false;
        }
        // The first of a group that wants to be together is let in anywhere, if it would match itself.
        if (!all && !(anyAbove(affinity) === false && allMatch(terms.affinity, info.pod))) return AFFINITY;
      }
      for (const { topologyKey } of terms.antiAffinity) {
        const value = labels[topologyKey];
        if (value !== undefined && (antiAffinity.get(pair(topologyKey, value)) ?? 0) > 0) return ANTI_AFFINITY;
      }
      if (existing.size > 0) {
        for (const key in labels) if ((existing.get(pair(key, labels[key]!)) ?? 0) > 0) return EXISTING;
      }
      return undefined;
    },
    preScore({ info, nodes, state }) {
      const terms = termsOf(info);
      const asks = terms.preferred.length > 0 || terms.preferredAnti.length > 0;
      const scores: Counts = new Map();
      const add = (list: readonly Term[], incoming: Pod, labels: Readonly<Record<string, string>>, sign: number): void => {
        for (const term of list) {
          const value = labels[term.topologyKey];
          if (value !== undefined && termMatchesPod(term, incoming)) bump(scores, pair(term.topologyKey, value), sign * (term.weight === 0 ? 1 : term.weight));
        }
      };
      if (asks) {
        for (const { node: { metadata: { labels = {} } }, pods } of nodes) {
          for (const { pod } of pods.values()) {
            add(terms.preferred, pod, labels, 1);
            add(terms.preferredAnti, pod, labels, -1);
          }
        }
      }
      for (const { node: { metadata: { labels = {} } }, withAffinity } of cache.affinityNodes) {
        for (const other of withAffinity) {
          const theirs = termsOf(other);
          add(theirs.preferred, info.pod, labels, 1);
          add(theirs.preferredAnti, info.pod, labels, -1);
          // What another pod demands counts a little for who would fulfil it.
          add(theirs.affinity, info.pod, labels, hardPodAffinityWeight);
        }
      }
      if (scores.size === 0) return false;
      state.set(SCORING, scores);
      return true;
    },
    score({ state }, { node: { metadata: { labels = {} } } }) {
      const scores = state.get(SCORING) as Counts;
      let score = 0;
      for (const key in labels) score += scores.get(pair(key, labels[key]!)) ?? 0;
      return score;
    },
    normalize(_cycle, scores) {
      let [min, max] = [Infinity, -Infinity];
      for (const score of scores) [min, max] = [Math.min(min, score), Math.max(max, score)];
      for (let i = 0; i < scores.length; i++) scores[i] = max > min ? Math.floor((MAX_SCORE * (scores[i]! - min)) / (max - min)) : 0;
    },
  };
}

function anyAbove(counts: Counts): boolean {
  for (const count of counts.values()) if (count > 0) return true;
  return false;
}

/** What the pod's affinity asks, parsed once. */
function termsOf(info: PodInfo): Terms {
  return (info.parsed ??= parseTerms(info.pod)) as Terms;
}

function parseTerms(pod: Pod): Terms {
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  const required = (list: readonly PodAffinityTerm[] = []): Term[] => list.map((term) => parseTerm(term, pod, 0));
  const preferred = (list: readonly { weight: number; podAffinityTerm: PodAffinityTerm }[] = []): Term[] =>
    list.map(({ weight, podAffinityTerm }) => parseTerm(podAffinityTerm, pod, weight));
  return {
    affinity: required(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    antiAffinity: required(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: preferred(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAnti: preferred(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

/** Without namespaces and selector, a term means the pod's own namespace (GetNamespacesFromPodAffinityTerm). */
function parseTerm(term: PodAffinityTerm, pod: Pod, weight: number): Term {
  const { topologyKey, namespaces = [], namespaceSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = term;
  const { labels = {}, namespace = "" } = pod.metadata;
  const keyed = (keys: readonly string[], operator: "in" | "notin"): Requirement[] =>
    keys.flatMap((key) => (labels[key] === undefined ? [] : [{ key, operator, values: [labels[key]] }]));
  const own = labelSelector(term.labelSelector);
  // The API server has merged these keys into the selector already; asking twice changes nothing.
  const more = [...keyed(matchLabelKeys, "in"), ...keyed(mismatchLabelKeys, "notin")];
  return {
    topologyKey, weight,
    selector: more.length === 0 ? own : { ...own, requirements: [...own.requirements, ...more] },
    namespaces: new Set(namespaces.length === 0 && namespaceSelector === undefined ? [namespace] : namespaces),
    namespaceSelector: namespaceSelector === undefined ? undefined : labelSelector(namespaceSelector),
  };
}
