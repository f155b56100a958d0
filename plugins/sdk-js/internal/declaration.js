// What a plugin says that it reads, and a quick look whether it did say so.

import { list, object, optional, text, whole, wrong } from "./shape.js";

const WORDS = [
  "method", "authority", "path", "upgrade", "tls-name", "client-address", "client-certificate", "listener-port", "identity",
];
const NAMED = { cookie: "cookie", cookiePrefix: "cookie-prefix", header: "header", query: "query-parameter" };
const KEYS = [...Object.keys(NAMED), "attribute", "path"];

/** The declaration as the contract has it. `keys` are those of the plugin's functions beside it. */
export function declaration(plugin, functionName) {
  object("configure's answer", plugin, ["reads", "verifies", "facts", functionName]);
  if (typeof plugin[functionName] !== "function") throw wrong(`configure's answer.${functionName}`, plugin[functionName], "a function");
  return {
    inputs: list("reads", plugin.reads ?? [], input),
    verifications: list("verifies", plugin.verifies ?? [], verification),
    facts: list("facts", plugin.facts ?? [], (what, it) => {
      if (it !== "may-read-session") throw wrong(what, it, '"may-read-session"');
      return it;
    }),
  };
}

function input(what, it) {
  if (typeof it === "string") {
    if (!WORDS.includes(it)) throw wrong(what, it, `one of ${WORDS.join(", ")}, or an object`);
    return it === "path" ? { tag: "path", val: { tag: "full" } } : { tag: it };
  }
  object(what, it, [...KEYS, "credential"]);
  const given = Object.keys(it).filter((name) => name !== "credential" && it[name] !== undefined);
  if (given.length !== 1) throw new TypeError(`${what}: found ${given.join(" and ") || "none"}, expected exactly one of ${KEYS.join(", ")}`);
  const [key] = given;
  // What is a credential must not be taken for plain because of a slip: it would be shown, and passed on.
  const { credential = false } = it;
  if (typeof credential !== "boolean") throw wrong(`${what}.credential`, credential, "true or false");
  if (key in NAMED) {
    const sensitivity = credential ? "credential" : "plain";
    return { tag: NAMED[key], val: { name: text(`${what}.${key}`, it[key]), sensitivity } };
  }
  if (credential) throw new TypeError(`${what}.credential: found beside ${key}, expected beside ${Object.keys(NAMED).join(", ")}`);
  if (key === "attribute") return { tag: "session-attribute", val: text(`${what}.attribute`, it.attribute) };
  return { tag: "path", val: { tag: "segments", val: whole(`${what}.path`, it.path, 0xffffffff) } };
}

function verification(what, it) {
  object(what, it, ["keySet", "audiences", "issuers", "leewayS", "claims"]);
  return {
    keySet: text(`${what}.keySet`, it.keySet),
    audiences: list(`${what}.audiences`, it.audiences ?? [], text),
    issuers: list(`${what}.issuers`, it.issuers ?? [], text),
    leewayS: optional(`${what}.leewayS`, it.leewayS, (name, value) => whole(name, value, 300)) ?? 30,
    claims: list(`${what}.claims`, it.claims ?? [], text),
  };
}

/** What was declared, by the keys that `Subject` and `Attributes` ask for. */
export class Declared {
  #keys = new Set();
  #prefixes = [];

  constructor(contract) {
    for (const { tag, val } of contract.inputs) {
      if (tag === "cookie-prefix") this.#prefixes.push(val.name);
      else if (tag === "header") this.#keys.add(`header ${val.name.toLowerCase()}`);
      else if (tag === "session-attribute") this.#keys.add(`attribute ${val}`);
      else this.#keys.add(val?.name === undefined ? tag : `${tag} ${val.name}`);
    }
    for (const fact of contract.facts) this.#keys.add(fact);
  }

  /** Reading what can't be there is a mistake of the author, which an `undefined` would hide. */
  check(key) {
    if (this.#keys.has(key)) return;
    if (key.startsWith("cookie ") && this.#prefixes.some((prefix) => key.slice("cookie ".length).startsWith(prefix))) return;
    throw new Error(`reads ${key}, which isn't among what it said that it reads`);
  }
}
