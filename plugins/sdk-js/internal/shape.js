// Values of the author's answers, checked: a value of another type than the contract's would trap behind this point.

import { bounded, isWhole } from "./errors.js";

/** What was found, in a few words. */
export function described(value) {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Promise) return "a promise (plugins can't wait: leave out async)";
  switch (typeof value) {
    case "string": return bounded(JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value));
    case "number": case "boolean": return String(value);
    case "object": return "an object";
    default: return `a ${typeof value}`;
  }
}

export function wrong(what, value, expected) {
  return new TypeError(`${what}: found ${described(value)}, expected ${expected}`);
}

export function text(what, value) {
  if (typeof value !== "string") throw wrong(what, value, "a text");
  if (!isWhole(value)) throw wrong(what, value, "a text without half a surrogate pair");
  return value;
}

export function whole(what, value, most = Number.MAX_SAFE_INTEGER) {
  if (!Number.isSafeInteger(value) || value < 0 || value > most) throw wrong(what, value, `a whole number from 0 to ${most}`);
  return value;
}

export function list(what, value, item) {
  if (!Array.isArray(value)) throw wrong(what, value, "a list");
  return value.map((it, at) => item(`${what}.${at}`, it));
}

/** Absent is null in the contract. */
export function optional(what, value, of) {
  return value === undefined || value === null ? null : of(what, value);
}

/** An object of no other keys than these: a misspelt one would be passed over in silence. */
export function object(what, value, keys) {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Promise) {
    throw wrong(what, value, "an object");
  }
  for (const key of Object.keys(value)) {
    if (!keys.includes(key)) throw new TypeError(`${what}.${key}: found an unknown key, expected one of ${keys.join(", ")}`);
  }
  return value;
}

/** Names with their values: `{team: "a", groups: ["b", "c"]}`. */
export function attributes(what, value) {
  if (value === undefined || value === null) return [];
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(what, value, "an object");
  return Object.entries(value).map(([name, values]) => ({
    name: text(what, name),
    values: Array.isArray(values) ? list(`${what}.${name}`, values, text) : [text(`${what}.${name}`, values)],
  }));
}

/** A code alone, or a code with a detail for the operator's log. */
export function reason(code, options) {
  return { code: text("reason", code), detail: optional("detail", options.detail, text) };
}

export function lifetime(options) {
  return {
    validUntil: optional("validUntil", options.validUntil, whole),
    recheckAfterS: optional("recheckAfterS", options.recheckAfterS, (what, value) => whole(what, value, 0xffffffff)),
  };
}

/** An answer that one of the functions has made, with what it is in the contract: nobody can change that afterwards. */
class Answer {
  #kind;
  #contract;

  constructor(kind, contract) {
    this.#kind = kind;
    this.#contract = contract;
  }

  static contract(kind, answer) {
    return typeof answer === "object" && answer !== null && #kind in answer && answer.#kind === kind ? answer.#contract : undefined;
  }
}

/** One kind's decisions: only what its functions made is taken for an answer. */
export class Answers {
  make(tag, val) {
    return new Answer(this, { tag, val });
  }

  contract(what, answer, functions) {
    const made = Answer.contract(this, answer);
    if (made === undefined) throw new TypeError(`${what} answered ${described(answer)}, expected what one of ${functions} makes`);
    return made;
  }
}
