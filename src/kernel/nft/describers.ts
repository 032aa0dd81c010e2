/**
 * Who can tell about rules of nftables in a namespace: set where nft's calls are made, asked by the tracer, which does not load them.
 */
import type { Netns } from "../netns.ts";

/** A rule of nftables in words. */
export interface NftRuleText {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** As nft lists it, `policy accept` for the end of a base chain. */
  readonly ruleText: string;
  /** Its place in the chain, from 1; of a policy, how many rules stand before it and one. */
  readonly number: number;
  /** Of a rule of iptables-nft: as iptables-save prints it behind `-A CHAIN`. */
  readonly iptables?: string;
}

/** By the numbers of an OBS_NFT record; undefined: no such rule is loaded now. */
export type NftDescriber = (chain: number, handle: number) => NftRuleText | undefined;

export const nftDescribers = new WeakMap<Netns, NftDescriber>();
