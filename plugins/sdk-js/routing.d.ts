import type { Attributes, Config, Detail, Exported, Input as AnyInput, Lifetime, Subject, Timestamp } from "./shared.js";

export { InvalidConfig, Unavailable } from "./shared.js";
export type { Attributes, Config, Subject, Timestamp };

export type Input = AnyInput | "identity";

declare const decision: unique symbol;
/** What `forward`, `redirect`, `reject`, `unauthenticated` and `abstain` make. */
export interface Decision { readonly [decision]: "routing" }

export interface Principal {
  readonly id: string;
  readonly name?: string;
  readonly company?: string;
  readonly role?: string;
  readonly groups: string[];
  readonly claims: Attributes;
}

export interface Request {
  readonly now: Timestamp;
  /** One of the two. */
  readonly http?: Subject;
  readonly tcp?: Subject;
  readonly session: Attributes;
  /** Who it is, where `identity` was declared; nobody known is undefined. */
  readonly principal?: Principal;
  /** Whether the server lets them read the session, where the fact was declared. Throws `Unavailable` when nobody knows. */
  readonly mayReadSession: boolean;
}

/** First what is removed, then what is set in place of every line of that name, then what is appended. */
export interface HeaderEdits {
  remove?: string[];
  set?: Record<string, string | Uint8Array>;
  append?: Record<string, string | Uint8Array | (string | Uint8Array)[]>;
}

export interface Forwarding {
  /** Another endpoint of the same session, by name. */
  endpoint?: string;
  requestHeaders?: HeaderEdits;
  responseHeaders?: HeaderEdits;
  requestBodyBytes?: number;
  responseTimeoutMs?: number;
}

export interface RoutingPolicy {
  reads: Input[];
  /** The manifest must grant them. */
  facts?: "may-read-session"[];
  route(request: Request): Decision;
}

/** Let it through. `reason` is a code for machines: kebab-case, few different ones. */
export function forward(reason: string, options?: Forwarding & Lifetime & Detail): Decision;
/** 307 to a path of this gateway, or to a URL on a host that its configuration knows. */
export function redirect(reason: string, location: string, options?: Lifetime & Detail): Decision;
/** Not for them. With a message 403, without one the answer for a session that doesn't exist. */
export function reject(reason: string, options?: { message?: string } & Lifetime & Detail): Decision;
/** Perhaps, for somebody known. */
export function unauthenticated(reason: string, options?: Detail): Decision;
/** The next policy decides. */
export function abstain(reason: string, options?: Detail): Decision;

/** Makes the export `routing` of a function that reads the configuration and answers the plugin. */
export function routingPolicy(configure: (config: Config) => RoutingPolicy): Exported;
