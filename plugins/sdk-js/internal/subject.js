// What is decided about, as authors see it. Each value is looked up when it's asked for.

import { Unavailable } from "./errors.js";
import { utf8 } from "./utf8.js";

/** One HTTP request or TCP connection. */
export class Subject {
  #value;
  #declared;

  constructor(value, declared) {
    this.#value = value;
    this.#declared = declared;
  }

  get method() { return this.#one("method", "method"); }
  get authority() { return this.#one("authority", "authority"); }
  get path() { return this.#one("path", "path"); }
  get upgrade() { return this.#one("upgrade", "upgrade"); }
  get tlsName() { return this.#one("tls-name", "tlsName"); }
  get clientAddress() { return this.#one("client-address", "clientAddress"); }
  get clientCertificate() { return this.#one("client-certificate", "clientCertificate"); }
  get listenerPort() { return this.#one("listener-port", "listenerPort"); }

  cookie(name) { return this.cookies(name)[0]; }
  cookies(name) { return this.#all(`cookie ${name}`, "cookies", name).map(utf8); }
  cookiesWithPrefix(prefix) {
    this.#declared.check(`cookie ${prefix}`);
    const fields = (this.#value.cookies ?? []).filter((it) => it.name.startsWith(prefix));
    return fields.map((it) => ({ name: it.name, value: utf8(it.value) }));
  }
  header(name) { return this.headers(name)[0]; }
  headers(name) { return this.headerBytes(name).map(utf8); }
  headerBytes(name) { return this.#all(`header ${name.toLowerCase()}`, "headers", name.toLowerCase()); }
  query(name) { return this.queries(name)[0]; }
  queries(name) { return this.#all(`query-parameter ${name}`, "query", name).map(utf8); }

  #one(declared, key) {
    this.#declared.check(declared);
    return this.#value[key] ?? undefined;
  }

  #all(declared, key, name) {
    this.#declared.check(declared);
    return (this.#value[key] ?? []).filter((it) => it.name === name).map((it) => it.value);
  }
}

/** Attributes of a candidate or session, or a principal's claims. */
export class Attributes {
  #attributes;
  #declared;

  constructor(attributes, declared) {
    this.#attributes = attributes;
    this.#declared = declared;
  }

  first(name) { return this.all(name)[0]; }
  has(name, value) { return this.all(name).includes(value); }
  all(name) {
    this.#declared?.check(`attribute ${name}`);
    return this.#attributes.find((it) => it.name === name)?.values ?? [];
  }
}

/** What authenticators and policies are asked. */
export class Request {
  #request;
  #declared;

  constructor(request, declared) {
    const subject = new Subject(request.subject.val, declared);
    this.#request = request;
    this.#declared = declared;
    this.now = request.now;
    this.http = request.subject.tag === "http" ? subject : undefined;
    this.tcp = request.subject.tag === "tcp" ? subject : undefined;
    this.session = new Attributes(request.session, declared);
  }

  get principal() {
    this.#declared.check("identity");
    const identity = this.#request.identity;
    if (identity?.tag !== "principal") return undefined;
    const { id, name, company, role, groups, claims } = identity.val;
    const present = (value) => value ?? undefined;
    return { id, name: present(name), company: present(company), role: present(role), groups, claims: new Attributes(claims) };
  }

  get mayReadSession() {
    this.#declared.check("may-read-session");
    const answer = this.#request.mayReadSession;
    if (answer === null || answer.tag === "unavailable") throw new Unavailable(answer?.val ?? "may-read-session wasn't found out");
    return answer.tag === "yes";
  }
}
