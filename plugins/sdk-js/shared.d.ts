// What the three kinds of plugin share.

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type Timestamp = number;

/** From `configure`: a key of the configuration isn't as expected. `config.refuse` throws one with the key's whole path. */
export class InvalidConfig extends Error {
  constructor(key: string, found: string, expected: string);
  readonly key: string;
  readonly found: string;
  readonly expected: string;
}

/** Something that the decision needs isn't there: the request fails closed, and it's counted as `unavailable`. */
export class Unavailable extends Error {
  constructor(message: string);
}

/** The configuration, key by key. A key that no method was asked for is an error, so don't look at what isn't needed. */
export interface Config {
  has(key: string): boolean;
  /** Without a default, the key must be there. */
  text(key: string): string;
  text<D>(key: string, fallback: D): string | D;
  /** A whole number. */
  number(key: string, range?: { least?: number; most?: number }): number;
  number<D>(key: string, range: { least?: number; most?: number } | undefined, fallback: D): number | D;
  flag(key: string): boolean;
  flag<D>(key: string, fallback: D): boolean | D;
  /** One of these. */
  word<W extends string>(key: string, words: readonly W[]): W;
  word<W extends string, D>(key: string, words: readonly W[], fallback: D): W | D;
  texts(key: string): string[];
  texts<D>(key: string, fallback: D): string[] | D;
  /** A mapping of its own; empty where it's absent. */
  section(key: string): Config;
  /** A list of mappings; empty where it's absent. */
  sections(key: string): Config[];
  /** A mapping whose keys are the operator's own, each with a mapping; empty where it's absent. */
  table(key: string): [string, Config][];
  /** Whatever stands there, unchecked. */
  any(key: string, fallback?: unknown): unknown;
  /** Says that a value isn't as expected, for what the other methods can't tell. */
  refuse(key: string, found: string, expected: string): never;
}

/** One input. What isn't declared is never handed over, and each is part of the key under which decisions are cached. */
export type Input =
  | "method" | "authority" | "path" | "upgrade" | "tls-name" | "client-address" | "client-certificate" | "listener-port"
  /** The path's first so many segments. */
  | { path: number }
  /** What is a credential is never shown, and not passed on to a workload. */
  | { cookie: string; credential?: boolean }
  | { cookiePrefix: string; credential?: boolean }
  | { header: string; credential?: boolean }
  | { query: string; credential?: boolean }
  /** An attribute of the candidate or session. */
  | { attribute: string };

/** One HTTP request, or one TCP connection, which has no more than the last four. Reading what wasn't declared throws. */
export interface Subject {
  readonly method?: string;
  /** `Host`, lower case, with the port where one was sent. */
  readonly authority?: string;
  /** Behind the route's own prefix, exactly as sent. */
  readonly path?: string;
  readonly upgrade?: string;
  readonly tlsName?: string;
  readonly clientAddress?: string;
  /** In DER. */
  readonly clientCertificate?: Uint8Array;
  readonly listenerPort?: number;
  /** The first one's value; what of it isn't UTF-8 is U+FFFD. */
  cookie(name: string): string | undefined;
  /** An entry for each that was sent, in their order. */
  cookies(name: string): string[];
  /** Where the prefix itself was declared. */
  cookiesWithPrefix(prefix: string): { name: string; value: string }[];
  header(name: string): string | undefined;
  headers(name: string): string[];
  headerBytes(name: string): Uint8Array[];
  query(name: string): string | undefined;
  queries(name: string): string[];
}

export interface Attributes {
  first(name: string): string | undefined;
  all(name: string): string[];
  has(name: string, value: string): boolean;
}

/** How long a decision holds. Not given: for as long as its inputs stay the same. */
export interface Lifetime {
  /** The instant from which it no longer holds. */
  validUntil?: Timestamp;
  /** So many seconds after which it's to be made again. */
  recheckAfterS?: number;
}

export interface Detail {
  /** For the operator's log. */
  detail?: string;
}

/** What a component exports. */
export interface Exported {
  configure(config: string): unknown;
}
