// What doesn't need a component, in Node's own engine: `node --test`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { allow, authenticator } from "../authentication.js";
import { discoveryFilter, drop, keep } from "../discovery.js";
import { forward, routingPolicy } from "../routing.js";
import { at, instants } from "../internal/clock.js";
import { parse } from "../internal/json.js";
import { bytesOf, utf8 } from "../internal/utf8.js";

const EMPTY = { inputs: [], verifications: [], facts: [] };

/** What it throws, as the contract has it. */
function thrown(work) {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

function configured(read, config) {
  return discoveryFilter((it) => {
    read(it);
    return { reads: [], filter: () => drop("x") };
  }).configure(config);
}

test("bytes and text are each other's, and what isn't UTF-8 is replaced", () => {
  for (const text of ["", "a", "ü€😀", "\u07ff\u0800\uffff\u{10000}\u{10ffff}"]) {
    assert.deepEqual(Buffer.from(bytesOf(text)), Buffer.from(text));
    assert.equal(utf8(bytesOf(text)), text);
  }
  for (const broken of [[0xff], [0xc0, 0x80], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc3], [0xc3, 0x41]]) {
    const text = utf8(new Uint8Array([0x61, ...broken]));
    assert.ok(text.startsWith("a\ufffd") && !text.includes("\u0000"), `${broken}`);
  }
});

test("long text is the same wherever its parts end", () => {
  // What the engine's own decoder makes of it; Node has one.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const unit of ["a", "ü", "€", "😀", "aü€😀"]) {
    for (const before of ["", "x", "xx", "xxx"]) {
      const bytes = Buffer.from(before + unit.repeat(3000));
      assert.equal(utf8(bytes), decoder.decode(bytes), `${before}${unit}`);
    }
  }
  const broken = new Uint8Array(10_000).fill(0x80);
  assert.equal(utf8(broken), "\ufffd".repeat(10_000));
  const ends = new Uint8Array(4096).fill(0x61);
  ends.set([0xf0, 0x9f, 0x98], 2045);
  assert.equal(utf8(ends), `${"a".repeat(2045)}${"\ufffd".repeat(3)}${"a".repeat(2048)}`);
});

test("a configuration's faults name key, found and expected", () => {
  for (const [read, config, key, found] of [
    [(it) => it.text("a"), "{}", "a", "nothing"],
    [(it) => it.text("a"), '{"a": 3}', "a", "3"],
    [(it) => it.number("a", { most: 9 }), '{"a": 10}', "a", "10"],
    [(it) => it.number("a"), '{"a": 1.5}', "a", "1.5"],
    [(it) => it.flag("a"), '{"a": "true"}', "a", '"true"'],
    [(it) => it.texts("a"), '{"a": ["x", 2]}', "a.1", "2"],
    [(it) => it.word("a", ["x", "y"]), '{"a": "z"}', "a", '"z"'],
    [(it) => it.section("a").text("b"), '{"a": {"b": []}}', "a.b", "a list"],
    [(it) => it.section("a").text("b"), '{"a": []}', "a", "a list"],
    [(it) => it.sections("a").map((section) => section.text("b")), '{"a": [{"b": "x"}, {}]}', "a.1.b", "nothing"],
    [(it) => it.table("a").map(([, section]) => section.text("b")), '{"a": {"n": {"c": 1}}}', "a.n.b", "nothing"],
    [(it) => it.text("a", ""), '{"b": 1}', "b", "an unknown key"],
    [(it) => it.section("a").text("b", ""), '{"a": {"c": 1}}', "a.c", "an unknown key"],
    [() => {}, '{"__proto__": 1}', "__proto__", "an unknown key"],
    [() => {}, "[]", "", "a list"],
  ]) {
    const error = thrown(() => configured(read, config));
    assert.equal(error.tag, "invalid-config", `${config}: ${JSON.stringify(error)}`);
    assert.deepEqual([error.val.key, error.val.found], [key, found], config);
  }
  assert.equal(thrown(() => configured(() => {}, "{")).val.expected, "JSON");
});

test("an absent key is its default, whatever that is", () => {
  for (const config of ["", "null", "{}", '{"a": null}']) {
    const read = (it) => {
      assert.equal(it.text("a", undefined), undefined);
      assert.equal(it.number("b", undefined, 4), 4);
      assert.deepEqual(it.sections("c"), []);
      assert.equal(it.has("a"), false);
    };
    assert.deepEqual(configured(read, config), EMPTY);
  }
});

test("inputs are declared as the contract has them", () => {
  const policy = routingPolicy(() => ({
    reads: ["identity", "path", { path: 2 }, { cookie: "c", credential: true }, { query: "q" }, { attribute: "owner" }],
    facts: ["may-read-session"],
    route: () => forward("x"),
  }));
  assert.deepEqual(policy.configure("{}"), {
    inputs: [
      { tag: "identity" },
      { tag: "path", val: { tag: "full" } },
      { tag: "path", val: { tag: "segments", val: 2 } },
      { tag: "cookie", val: { name: "c", sensitivity: "credential" } },
      { tag: "query-parameter", val: { name: "q", sensitivity: "plain" } },
      { tag: "session-attribute", val: "owner" },
    ],
    verifications: [],
    facts: ["may-read-session"],
  });
  for (const reads of [["body"], [{}], [{ header: 3 }], "method", [{ heade: "x" }]]) {
    const error = thrown(() => routingPolicy(() => ({ reads, route() {} })).configure("{}"));
    assert.equal(error.tag, "other", JSON.stringify(error));
  }
});

test("what is a credential isn't declared as plain by a slip", () => {
  for (const [input, said] of [
    [{ header: "x-key", credential: "true" }, /reads\.0\.credential: found "true", expected true or false/],
    [{ header: "x-key", credential: 1 }, /credential: found 1,/],
    [{ header: "x-key", credential: null }, /credential: found nothing,/],
    [{ attribute: "owner", credential: true }, /credential: found beside attribute, expected beside cookie,/],
    [{ path: 1, credential: true }, /credential: found beside path,/],
    [{ header: "x-key", cookie: "key", credential: true }, /found header and cookie, expected exactly one of cookie,/],
    [{ credential: true }, /found none, expected exactly one of cookie,/],
  ]) {
    const error = thrown(() => routingPolicy(() => ({ reads: [input], route() {} })).configure("{}"));
    assert.match(error.val, said);
  }
  const policy = routingPolicy(() => ({ reads: [{ header: "a", credential: false }, { path: 1, credential: false }], route() {} }));
  assert.deepEqual(policy.configure("{}").inputs[0].val, { name: "a", sensitivity: "plain" });
});

test("an answer of another kind's function is none", () => {
  const made = authenticator(() => ({ reads: [], authenticate: () => keep("x") }));
  made.configure("");
  const error = thrown(() => made.authenticate({ subject: { tag: "tcp", val: {} }, session: [], now: 1 }));
  assert.match(error.val, /authenticate answered an object, expected what one of allow/);
});

test("a date without arguments is the call's instant", () => {
  const [Engine, constructor] = [Date, Date.prototype.constructor];
  const Instants = instants();
  try {
    at(1_800_000_000_000, () => {
      assert.equal(Instants.now(), 1_800_000_000_000);
      assert.equal(new Instants().getTime(), 1_800_000_000_000);
      assert.equal(Instants(), new Engine(1_800_000_000_000).toString());
    });
    assert.equal(new Instants("2027-01-15T08:00:00Z").getTime(), 1_800_000_000_000);
    assert.equal(Instants.UTC(2027, 0, 15, 8), 1_800_000_000_000);
    assert.ok(new Instants(5) instanceof Instants && new (class extends Instants {})(5) instanceof Instants);
    for (const asks of [() => Instants.now(), () => new Instants(), () => Instants()]) assert.throws(asks, /there is no time here/);
  } finally {
    Engine.prototype.constructor = constructor;
  }
});

test("text nested without measure isn't parsed", () => {
  const nested = (levels) => "[".repeat(levels) + "]".repeat(levels);
  assert.equal(parse(nested(1000)).length, 1);
  assert.throws(() => parse(nested(1001)), /SyntaxError: JSON.parse: found more than 1000 levels/);
  assert.throws(() => parse('{"a":'.repeat(20_000)), /1000 levels/);
  const wide = `[${"[],".repeat(5000)}{"a": "${"[{".repeat(2000)}\\"${"[".repeat(2000)}"}]`;
  assert.deepEqual(parse(wide), JSON.parse(wide));
  assert.deepEqual(parse("[1, 2]", (_, it) => (it === 1 ? 3 : it)), [3, 2]);
  assert.throws(() => parse("{"), SyntaxError);
});

test("people have only what a person has", () => {
  assert.throws(() => allow("x", { id: "a", group: ["b"] }), /principal.group: found an unknown key/);
  assert.throws(() => allow("x", { id: 3 }), /principal.id: found 3, expected a text/);
});
