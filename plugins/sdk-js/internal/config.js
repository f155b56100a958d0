// The configuration, key by key. What nobody asked for is an error: a misspelt key must not be passed over.

import { InvalidConfig } from "./errors.js";
import { described } from "./shape.js";

export class Config {
  #path;
  #values;
  #known = [];
  #sections = [];

  constructor(path, values) {
    if (typeof values !== "object" || values === null || Array.isArray(values)) {
      throw new InvalidConfig(path, described(values), "a mapping");
    }
    this.#path = path;
    this.#values = values;
  }

  static parse(json) {
    let value;
    try {
      value = json.trim() === "" ? {} : JSON.parse(json);
    } catch (error) {
      throw new InvalidConfig("", error.message, "JSON");
    }
    return new Config("", value ?? {});
  }

  has(key) {
    return this.#value(key) !== undefined;
  }

  // A default that is given may be undefined, so what counts is whether there is one.

  text(key, ...fallback) {
    return this.#read(key, fallback, "a text", (it) => typeof it === "string");
  }

  number(key, range, ...fallback) {
    const { least = 0, most = Number.MAX_SAFE_INTEGER } = range ?? {};
    const expected = `a whole number from ${least} to ${most}`;
    return this.#read(key, fallback, expected, (it) => Number.isSafeInteger(it) && it >= least && it <= most);
  }

  flag(key, ...fallback) {
    return this.#read(key, fallback, "true or false", (it) => typeof it === "boolean");
  }

  word(key, words, ...fallback) {
    return this.#read(key, fallback, `one of ${words.join(", ")}`, (it) => words.includes(it));
  }

  texts(key, ...fallback) {
    const values = this.#read(key, fallback, "a list of texts", Array.isArray);
    if (Array.isArray(values)) {
      values.forEach((it, at) => {
        if (typeof it !== "string") throw new InvalidConfig(this.path(`${key}.${at}`), described(it), "a text");
      });
    }
    return values;
  }

  /** A mapping of its own; empty where it's absent. */
  section(key) {
    return this.#section(key, this.#value(key) ?? {});
  }

  /** A list of mappings. */
  sections(key) {
    const values = this.#read(key, [[]], "a list of mappings", Array.isArray);
    return values.map((it, at) => this.#section(`${key}.${at}`, it));
  }

  /** A mapping whose keys are the operator's own, each with a mapping. */
  table(key) {
    const values = this.#read(key, [{}], "a mapping", (it) => typeof it === "object" && !Array.isArray(it));
    return Object.entries(values).map(([name, it]) => [name, this.#section(`${key}.${name}`, it)]);
  }

  /** Whatever stands there, unchecked. */
  any(key, fallback = undefined) {
    return this.#value(key) ?? fallback;
  }

  /** Says that a value isn't as expected, for what the other methods can't tell. */
  refuse(key, found, expected) {
    throw new InvalidConfig(this.path(key), found, expected);
  }

  path(key) {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  /** Called when all has been read. */
  finish() {
    for (const key of Object.keys(this.#values)) {
      if (!this.#known.includes(key)) {
        const expected = this.#known.length === 0 ? "no key at all" : `one of ${this.#known.join(", ")}`;
        throw new InvalidConfig(this.path(key), "an unknown key", expected);
      }
    }
    this.#sections.forEach((section) => section.finish());
  }

  #value(key) {
    if (!this.#known.includes(key)) this.#known.push(key);
    return Object.hasOwn(this.#values, key) && this.#values[key] !== null ? this.#values[key] : undefined;
  }

  #read(key, fallback, expected, fits) {
    const value = this.#value(key);
    if (value !== undefined ? fits(value) : fallback.length > 0) return value ?? fallback[0];
    throw new InvalidConfig(this.path(key), described(value), expected);
  }

  #section(key, value) {
    const section = new Config(this.path(key), value);
    this.#sections.push(section);
    return section;
  }
}
