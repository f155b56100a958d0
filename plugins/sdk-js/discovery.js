// Discovery filters: which of the discovered endpoints are published.

import { InvalidConfig, Unavailable } from "./internal/errors.js";
import { exported } from "./internal/plugin.js";
import { Answers, attributes, object, optional, reason, text, wrong } from "./internal/shape.js";
import { Attributes } from "./internal/subject.js";

export { InvalidConfig, Unavailable };

const answers = new Answers();

export function keep(code, options = {}) {
  object("keep's options", options, ["detail", "name", "access", "upstreamPath", "labels"]);
  return answers.make("keep", {
    reason: reason(code, options),
    name: optional("name", options.name, text),
    access: optional("access", options.access, text),
    upstreamPath: optional("upstreamPath", options.upstreamPath, (what, it) => {
      if (it !== "strip" && it !== "keep") throw wrong(what, it, '"strip" or "keep"');
      return it;
    }),
    labels: attributes("labels", options.labels),
  });
}

export function drop(code, options = {}) {
  return answers.make("drop", reason(code, object("drop's options", options, ["detail"])));
}

export function discoveryFilter(configure) {
  return exported(configure, "filter", {
    view: (candidate, declared) => ({ now: candidate.now, attributes: new Attributes(candidate.attributes, declared) }),
    contract: (verdict) => answers.contract("filter", verdict, "keep, drop"),
  });
}
