import type { Attributes, Config, Detail, Exported, Input, Lifetime, Subject, Timestamp } from "./shared.js";

export { InvalidConfig, Unavailable } from "./shared.js";
export type { Attributes, Config, Input, Subject, Timestamp };

declare const decision: unique symbol;
/** What `allow`, `challenge`, `deny` and `abstain` make. */
export interface Decision { readonly [decision]: "authentication" }

export interface Principal {
  /** Stable and unique; compared with session owners. */
  id: string;
  name?: string;
  company?: string;
  role?: string;
  groups?: string[];
  /** Further claims that a routing policy may want to see. */
  claims?: Record<string, string | string[]>;
}

export interface Challenge {
  /** Where people log in. Not given: the gateway's own page. */
  login?: string;
  /** Values of `WWW-Authenticate`. None: `Bearer`. */
  schemes?: string[];
}

export interface Request {
  readonly now: Timestamp;
  /** One of the two. */
  readonly http?: Subject;
  readonly tcp?: Subject;
  /** The session that was asked for; has nothing where there is no such session. */
  readonly session: Attributes;
}

/** One way in which the plugin asks the host to verify tokens, by `verify` of `wicketgate-plugin/jwt`. */
export interface Verification {
  /** The manifest must grant it. */
  keySet: string;
  audiences?: string[];
  issuers?: string[];
  /** 30 where it isn't given. */
  leewayS?: number;
  /** Paths of names with dots between. */
  claims?: string[];
}

export interface Authenticator {
  reads: Input[];
  verifies?: Verification[];
  authenticate(request: Request): Decision;
}

/** The subject is this person. `reason` is a code for machines: kebab-case, few different ones. */
export function allow(reason: string, principal: Principal, options?: Lifetime & Detail): Decision;
/** Stop here and ask for credentials. */
export function challenge(reason: string, options?: Challenge & Detail): Decision;
/** Recognised, and may not enter. */
export function deny(reason: string, options?: Lifetime & Detail): Decision;
/** The next authenticator decides. */
export function abstain(reason: string, options?: Detail & { challenge?: Challenge & Detail }): Decision;

/** Makes the export `authentication` of a function that reads the configuration and answers the plugin. */
export function authenticator(configure: (config: Config) => Authenticator): Exported;
