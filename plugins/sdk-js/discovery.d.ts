import type { Attributes, Config, Detail, Exported, Timestamp } from "./shared.js";

export { InvalidConfig, Unavailable } from "./shared.js";
export type { Attributes, Config, Timestamp };

declare const verdict: unique symbol;
/** What `keep` and `drop` make. */
export interface Verdict { readonly [verdict]: "discovery" }

/** Everything in it may have been written by the session's owner: hostile input. */
export interface Candidate {
  readonly now: Timestamp;
  readonly attributes: Attributes;
}

export interface Keeping {
  /** Another name for display. */
  name?: string;
  /** The session attribute `access` from now on. */
  access?: string;
  upstreamPath?: "strip" | "keep";
  /** Named `label.<name>` for routing policies. */
  labels?: Record<string, string | string[]>;
}

export interface DiscoveryFilter {
  /** All that a filter sees are attributes of the candidate. */
  reads: { attribute: string }[];
  filter(candidate: Candidate): Verdict;
}

/** Publish it. `reason` is a code for machines: kebab-case, few different ones. */
export function keep(reason: string, options?: Keeping & Detail): Verdict;
/** Don't. */
export function drop(reason: string, options?: Detail): Verdict;

/** Makes the export `discovery` of a function that reads the configuration and answers the plugin. */
export function discoveryFilter(configure: (config: Config) => DiscoveryFilter): Exported;
