// Authenticators: who a request or connection comes from.

import { InvalidConfig, Unavailable } from "./internal/errors.js";
import { exported } from "./internal/plugin.js";
import { Answers, attributes, lifetime, list, object, optional, reason, text } from "./internal/shape.js";
import { Request } from "./internal/subject.js";

export { InvalidConfig, Unavailable };

const answers = new Answers();

export function allow(code, person, options = {}) {
  object("allow's options", options, ["detail", "validUntil", "recheckAfterS"]);
  object("principal", person, ["id", "name", "company", "role", "groups", "claims"]);
  const principal = {
    id: text("principal.id", person.id),
    name: optional("principal.name", person.name, text),
    company: optional("principal.company", person.company, text),
    role: optional("principal.role", person.role, text),
    groups: list("principal.groups", person.groups ?? [], text),
    claims: attributes("principal.claims", person.claims),
  };
  return answers.make("allow", { principal, lifetime: lifetime(options), reason: reason(code, options) });
}

export function challenge(code, options = {}) {
  return answers.make("challenge", challenged(code, "challenge's options", options));
}

export function deny(code, options = {}) {
  object("deny's options", options, ["detail", "validUntil", "recheckAfterS"]);
  return answers.make("deny", { reason: reason(code, options), lifetime: lifetime(options) });
}

export function abstain(code, options = {}) {
  object("abstain's options", options, ["detail", "challenge"]);
  const told = optional("challenge", options.challenge, (what, it) => challenged(code, what, it));
  return answers.make("abstain", { reason: reason(code, options), challenge: told });
}

function challenged(code, what, options) {
  object(what, options, ["detail", "login", "schemes"]);
  return {
    reason: reason(code, options),
    login: optional("login", options.login, text),
    schemes: list("schemes", options.schemes ?? [], text),
  };
}

export function authenticator(configure) {
  return exported(configure, "authenticate", {
    view: (request, declared) => new Request(request, declared),
    contract: (answer) => answers.contract("authenticate", answer, "allow, challenge, deny, abstain"),
  });
}
