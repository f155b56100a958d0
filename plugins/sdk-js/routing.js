// Routing policies: whether an identity may use a session, and how.

import { InvalidConfig, Unavailable } from "./internal/errors.js";
import { exported } from "./internal/plugin.js";
import { Answers, lifetime, list, object, optional, reason, text, whole, wrong } from "./internal/shape.js";
import { Request } from "./internal/subject.js";
import { bytesOf } from "./internal/utf8.js";

export { InvalidConfig, Unavailable };

const answers = new Answers();
const LIFETIME = ["validUntil", "recheckAfterS"];
const FORWARD = ["endpoint", "requestHeaders", "responseHeaders", "requestBodyBytes", "responseTimeoutMs"];

export function forward(code, options = {}) {
  object("forward's options", options, ["detail", ...LIFETIME, ...FORWARD]);
  const limits = {
    requestBodyBytes: optional("requestBodyBytes", options.requestBodyBytes, whole),
    responseTimeoutMs: optional("responseTimeoutMs", options.responseTimeoutMs, (what, it) => whole(what, it, 0xffffffff)),
  };
  return answers.make("forward", {
    reason: reason(code, options),
    lifetime: lifetime(options),
    endpoint: optional("endpoint", options.endpoint, text),
    requestHeaders: edits("requestHeaders", options.requestHeaders),
    responseHeaders: edits("responseHeaders", options.responseHeaders),
    limits: limits.requestBodyBytes === null && limits.responseTimeoutMs === null ? null : limits,
  });
}

export function redirect(code, location, options = {}) {
  object("redirect's options", options, ["detail", ...LIFETIME]);
  const to = text("location", location);
  return answers.make("redirect", { reason: reason(code, options), lifetime: lifetime(options), location: to });
}

export function reject(code, options = {}) {
  object("reject's options", options, ["detail", "message", ...LIFETIME]);
  const message = optional("message", options.message, text);
  return answers.make("reject", { reason: reason(code, options), lifetime: lifetime(options), message });
}

export function unauthenticated(code, options = {}) {
  return answers.make("unauthenticated", reason(code, object("unauthenticated's options", options, ["detail"])));
}

export function abstain(code, options = {}) {
  return answers.make("abstain", reason(code, object("abstain's options", options, ["detail"])));
}

/** First what goes, then what is set, then what is added. */
function edits(what, value) {
  if (value === undefined || value === null) return [];
  const { remove = [], set = {}, append = {} } = object(what, value, ["remove", "set", "append"]);
  const fields = (tag, map) =>
    Object.entries(object(`${what}.${tag}`, map, Object.keys(map ?? {})))
      .flatMap(([name, values]) => (Array.isArray(values) ? values : [values]).map((it) => [name, it]))
      .map(([name, it]) => ({ tag, val: { name: text(what, name), value: bytes(`${what}.${tag}.${name}`, it) } }));
  const removed = list(`${what}.remove`, remove, text).map((val) => ({ tag: "remove", val }));
  return [...removed, ...fields("set", set), ...fields("append", append)];
}

function bytes(what, value) {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "string") throw wrong(what, value, "a text, or bytes");
  return bytesOf(text(what, value));
}

export function routingPolicy(configure) {
  return exported(configure, "route", {
    view: (request, declared) => new Request(request, declared),
    contract: (answer) => answers.contract("route", answer, "forward, redirect, reject, unauthenticated, abstain"),
  });
}
