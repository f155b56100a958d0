"""Write plugins for the Wicketgate access gateway in Python.

A plugin is a class: `__init__(self, config)` reads the configuration and sets `self.reads`, and one method decides. The module
exports it under the name of its interface:

    from wicketgate_plugin import attribute, forward, abstain, routing_policy

    class Staff:
        def __init__(self, config):
            self.staff = config.texts("staff")
            self.reads = ["identity"]

        def route(self, request):
            person = request.principal
            return forward("staff") if person and person.id in self.staff else abstain("not-staff")

    Routing = routing_policy(Staff)          # or: Authentication = authenticator(…), Discovery = discovery_filter(…)

Whatever the class raises is the contract's `error`, never a trap. The same inputs must give the same answer: keep nothing
between calls.
"""

import datetime
import importlib
import importlib.machinery
import io
import json
import linecache
import os
import random
import sys
import time
import types
import warnings
from dataclasses import dataclass, field

__all__ = [
    "InvalidConfig", "Unavailable", "authenticator", "routing_policy", "discovery_filter", "attribute", "cookie", "cookie_prefix",
    "header", "path", "query", "Verification", "verify", "log", "allow", "challenge", "deny", "abstain", "forward", "redirect",
    "reject", "unauthenticated", "keep", "drop", "Challenge", "Principal",
]

# The bindings are generated for the component's world when it's made, and are there in it alone: they stand in for each other
# natively, where a test imports the author's module. What isn't granted by the manifest isn't in the world.
try:
    from componentize_py_types import Err
    from wit_world.imports import types as wit
except ImportError:
    wit = None

    class Err(Exception):
        def __init__(self, value):
            super().__init__(value)
            self.value = value

try:
    from wit_world.imports import log as _host_log
except ImportError:
    _host_log = None
try:
    from wit_world.imports import jwt as _host_jwt
except ImportError:
    _host_jwt = None

# A text longer than this says no more to the reader of a log.
_LONGEST = 1000


# === what an author raises ===


class InvalidConfig(Exception):
    """From `__init__`: a key of the configuration isn't as expected. `config.refuse` raises one with the key's whole path."""

    def __init__(self, key, found, expected):
        super().__init__(f"{key}: found {found}, expected {expected}")
        self.key, self.found, self.expected = key, found, expected


class Unavailable(Exception):
    """Something that the decision needs isn't there: the request fails closed, and it's counted as `unavailable`."""


def _bounded(value):
    text = str(value)
    text = text[:_LONGEST] + "…" if len(text) > _LONGEST else text
    return text.encode("utf-8", "replace").decode("utf-8")


def _contract_error(raised):
    try:
        if isinstance(raised, InvalidConfig):
            return wit.Error_InvalidConfig(
                wit.InvalidConfig(_bounded(raised.key), _bounded(raised.found), _bounded(raised.expected)))
        if isinstance(raised, Unavailable):
            return wit.Error_Unavailable(_bounded(raised))
        return wit.Error_Other(_bounded(f"{type(raised).__name__}: {raised}"))
    except BaseException:
        # Its text is code that raises.
        return wit.Error_Other(f"{type(raised).__name__}, which can't be shown")


def _guarded(work, *arguments):
    try:
        return work(*arguments)
    except BaseException as raised:
        # Without the traceback, whose frames would hold this call's values.
        error = _contract_error(raised)
    finally:
        _OUT.end()
        _ERR.end()
    raise Err(error)


# === shapes: a value of another type than the contract's would trap behind this module ===


def _described(value):
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 80 else value[:80] + "…", ensure_ascii=False)
    if isinstance(value, (int, float)):
        return str(value)[:80]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a value of type {type(value).__name__}"


def _wrong(what, value, expected):
    return TypeError(f"{what}: found {_described(value)}, expected {expected}")


def _text(what, value):
    if not isinstance(value, str):
        raise _wrong(what, value, "a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _wrong(what, _bounded(value), "a text without half a surrogate pair") from None
    return str(value)


def _optional_text(what, value):
    return None if value is None else _text(what, value)


def _whole(what, value, most):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise _wrong(what, value, f"a whole number from 0 to {most}")
    return value


def _optional_whole(what, value, most):
    return None if value is None else _whole(what, value, most)


def _texts(what, value):
    if not isinstance(value, (list, tuple)):
        raise _wrong(what, value, "a list")
    return [_text(f"{what}.{at}", it) for at, it in enumerate(value)]


def _mapping(what, value):
    if not isinstance(value, dict):
        raise _wrong(what, value, "a mapping")
    return value


def _attributes(what, value):
    def values(name, it):
        return [_text(name, it)] if isinstance(it, str) else _texts(name, it)

    named = _mapping(what, {} if value is None else value).items()
    return [wit.Attribute(_text(what, name), values(f"{what}.{name}", it)) for name, it in named]


_U32, _U64 = 2**32 - 1, 2**64 - 1


# === the configuration ===

_REQUIRED = object()


class Config:
    """The configuration, key by key. A key that no method was asked for is an error, so don't look at what isn't needed."""

    def __init__(self, path, values):
        if not isinstance(values, dict):
            raise InvalidConfig(path, _described(values), "a mapping")
        self._path, self._values, self._known, self._sections = path, values, [], []

    @classmethod
    def parse(cls, text):
        try:
            value = json.loads(text) if text.strip() else {}
        except ValueError as error:
            raise InvalidConfig("", str(error), "JSON") from None
        return cls("", {} if value is None else value)

    def has(self, key):
        return self._value(key) is not None

    def text(self, key, default=_REQUIRED):
        return self._read(key, default, "a text", lambda it: isinstance(it, str))

    def number(self, key, default=_REQUIRED, least=0, most=2**53 - 1):
        """A whole number."""
        fits = lambda it: isinstance(it, int) and not isinstance(it, bool) and least <= it <= most
        return self._read(key, default, f"a whole number from {least} to {most}", fits)

    def flag(self, key, default=_REQUIRED):
        return self._read(key, default, "true or false", lambda it: isinstance(it, bool))

    def word(self, key, words, default=_REQUIRED):
        """One of these."""
        return self._read(key, default, "one of " + ", ".join(words), lambda it: it in words)

    def texts(self, key, default=_REQUIRED):
        values = self._read(key, default, "a list of texts", lambda it: isinstance(it, list))
        for at, it in enumerate(values if isinstance(values, list) else []):
            if not isinstance(it, str):
                raise InvalidConfig(self.path(f"{key}.{at}"), _described(it), "a text")
        return values

    def section(self, key):
        """A mapping of its own; empty where it's absent."""
        value = self._value(key)
        return self._section(key, {} if value is None else value)

    def sections(self, key):
        """A list of mappings; empty where it's absent."""
        values = self._read(key, [], "a list of mappings", lambda it: isinstance(it, list))
        return [self._section(f"{key}.{at}", it) for at, it in enumerate(values)]

    def table(self, key):
        """A mapping whose keys are the operator's own, each with a mapping: pairs of both."""
        values = self._read(key, {}, "a mapping", lambda it: isinstance(it, dict))
        return [(name, self._section(f"{key}.{name}", it)) for name, it in values.items()]

    def any(self, key, default=None):
        """Whatever stands there, unchecked."""
        value = self._value(key)
        return default if value is None else value

    def refuse(self, key, found, expected):
        """Says that a value isn't as expected, for what the other methods can't tell."""
        raise InvalidConfig(self.path(key), found, expected)

    def path(self, key):
        return f"{self._path}.{key}" if self._path else key

    def finish(self):
        for key in self._values:
            if key not in self._known:
                expected = "one of " + ", ".join(self._known) if self._known else "no key at all"
                raise InvalidConfig(self.path(key), "an unknown key", expected)
        for section in self._sections:
            section.finish()

    def _value(self, key):
        if key not in self._known:
            self._known.append(key)
        return self._values.get(key)

    def _read(self, key, default, expected, fits):
        value = self._value(key)
        if value is None and default is not _REQUIRED:
            return default
        if value is None or not fits(value):
            raise InvalidConfig(self.path(key), _described(value), expected)
        return value

    def _section(self, key, value):
        section = Config(self.path(key), value)
        self._sections.append(section)
        return section


# === the declaration ===


@dataclass(frozen=True)
class Input:
    tag: str
    name: object = None
    credential: bool = False


def cookie(name, credential=False):
    return Input("cookie", name, credential)


def cookie_prefix(name, credential=False):
    return Input("cookie-prefix", name, credential)


def header(name, credential=False):
    return Input("header", name, credential)


def query(name, credential=False):
    return Input("query-parameter", name, credential)


def path(segments):
    """The path's first so many segments; the word "path" is the whole."""
    return Input("path", segments)


def attribute(name):
    """An attribute of the candidate or session."""
    return Input("session-attribute", name)


@dataclass
class Verification:
    """One way in which the plugin asks the host to verify tokens, by `verify`. The manifest must grant the key set."""

    key_set: str
    audiences: list = field(default_factory=list)
    issuers: list = field(default_factory=list)
    leeway_s: int = 30
    claims: list = field(default_factory=list)


_WORDS = {
    "method": "Method", "authority": "Authority", "path": "Path", "upgrade": "Upgrade", "tls-name": "TlsName",
    "client-address": "ClientAddress", "client-certificate": "ClientCertificate", "listener-port": "ListenerPort",
    "identity": "Identity",
}
_NAMED = {"cookie": "Cookie", "cookie-prefix": "CookiePrefix", "header": "Header", "query-parameter": "QueryParameter"}


def _input(what, it):
    if it == "path":
        return wit.Input_Path(wit.PathExtent_Full())
    if isinstance(it, str) and it in _WORDS:
        return getattr(wit, f"Input_{_WORDS[it]}")()
    if not isinstance(it, Input):
        raise _wrong(what, it, "one of " + ", ".join(_WORDS) + ", or what cookie, header, query, path or attribute makes")
    if it.tag == "path":
        return wit.Input_Path(wit.PathExtent_Segments(_whole(what, it.name, _U32)))
    if it.tag == "session-attribute":
        return wit.Input_SessionAttribute(_text(what, it.name))
    sensitivity = wit.Sensitivity.CREDENTIAL if it.credential else wit.Sensitivity.PLAIN
    return getattr(wit, f"Input_{_NAMED[it.tag]}")(wit.NamedInput(_text(what, it.name), sensitivity))


def _verification(what, it):
    if not isinstance(it, Verification):
        raise _wrong(what, it, "a Verification")
    return wit.Verification(
        _text(f"{what}.key_set", it.key_set), _texts(f"{what}.audiences", it.audiences), _texts(f"{what}.issuers", it.issuers),
        _whole(f"{what}.leeway_s", it.leeway_s, 300), _texts(f"{what}.claims", it.claims))


def _fact(what, it):
    if it != "may-read-session":
        raise _wrong(what, it, '"may-read-session"')
    return wit.Fact.MAY_READ_SESSION


def _declaration(plugin):
    def each(name, of):
        values = getattr(plugin, name, [])
        if not isinstance(values, (list, tuple)):
            raise _wrong(f"self.{name}", values, "a list")
        return [of(f"{name}.{at}", it) for at, it in enumerate(values)]

    return wit.Declaration(each("reads", _input), each("verifies", _verification), each("facts", _fact))


class _Declared:
    """What was declared: reading what can't be there is a mistake of the author, which a None would hide."""

    def __init__(self, plugin):
        self._keys, self._prefixes = set(getattr(plugin, "facts", [])), []
        for it in getattr(plugin, "reads", []):
            if isinstance(it, str):
                self._keys.add(it)
            elif it.tag == "path":
                self._keys.add("path")
            elif it.tag == "cookie-prefix":
                self._prefixes.append(it.name)
            else:
                self._keys.add((it.tag, it.name.lower() if it.tag == "header" else it.name))

    def check(self, key):
        if key in self._keys:
            return
        if key[0] == "cookie" and any(key[1].startswith(prefix) for prefix in self._prefixes):
            return
        shown = key if isinstance(key, str) else f"{key[0]} {key[1]}"
        raise LookupError(f"reads {shown}, which isn't among what it said that it reads")


# === what is asked ===


class Attributes:
    """Attributes of a candidate or session, or a principal's claims."""

    def __init__(self, attributes, declared=None):
        self._values = {it.name: it.values for it in attributes}
        self._declared = declared

    def all(self, name):
        if self._declared is not None:
            self._declared.check(("session-attribute", name))
        return self._values.get(name, [])

    def first(self, name):
        values = self.all(name)
        return values[0] if values else None

    def has(self, name, value):
        return value in self.all(name)


def _one(declared, name):
    def read(self):
        self._declared.check(declared)
        return getattr(self._value, name, None)

    return property(read)


class Subject:
    """One HTTP request, or one TCP connection. Reading what wasn't declared raises."""

    def __init__(self, value, declared):
        self._value, self._declared = value, declared

    method = _one("method", "method")
    authority = _one("authority", "authority")
    path = _one("path", "path")
    upgrade = _one("upgrade", "upgrade")
    tls_name = _one("tls-name", "tls_name")
    client_address = _one("client-address", "client_address")
    client_certificate = _one("client-certificate", "client_certificate")
    listener_port = _one("listener-port", "listener_port")

    def cookies(self, name):
        return self._all(("cookie", name), "cookies", name)

    def cookies_with_prefix(self, prefix):
        """Pairs of name and value, where the prefix itself was declared."""
        self._declared.check(("cookie", prefix))
        fields = getattr(self._value, "cookies", [])
        return [(it.name, it.value.decode("utf-8", "replace")) for it in fields if it.name.startswith(prefix)]

    def headers(self, name):
        return [it.decode("utf-8", "replace") for it in self.header_bytes(name)]

    def header_bytes(self, name):
        self._declared.check(("header", name.lower()))
        return [it.value for it in getattr(self._value, "headers", []) if it.name == name.lower()]

    def queries(self, name):
        return self._all(("query-parameter", name), "query", name)

    def cookie(self, name):
        """The first one's value, or None; what of it isn't UTF-8 is U+FFFD."""
        return next(iter(self.cookies(name)), None)

    def header(self, name):
        return next(iter(self.headers(name)), None)

    def query(self, name):
        return next(iter(self.queries(name)), None)

    def _all(self, declared, key, name):
        self._declared.check(declared)
        return [it.value.decode("utf-8", "replace") for it in getattr(self._value, key, []) if it.name == name]


@dataclass
class Principal:
    """Somebody: in an answer of an authenticator, and as policies see them."""

    id: str
    name: str | None = None
    company: str | None = None
    role: str | None = None
    groups: list = field(default_factory=list)
    claims: object = None


class Request:
    """What authenticators and policies are asked."""

    def __init__(self, request, declared):
        self._request, self._declared = request, declared
        subject = Subject(request.subject.value, declared)
        is_http = isinstance(request.subject, wit.Subject_Http)
        self.now = request.now
        self.http = subject if is_http else None
        self.tcp = None if is_http else subject
        self.session = Attributes(request.session, declared)

    @property
    def principal(self):
        """Who it is; None is nobody known."""
        self._declared.check("identity")
        if not isinstance(self._request.identity, wit.Identity_Principal):
            return None
        it = self._request.identity.value
        return Principal(it.id, it.name, it.company, it.role, it.groups, Attributes(it.claims))

    @property
    def may_read_session(self):
        """Whether the server lets them. Raises `Unavailable` when nobody knows."""
        self._declared.check("may-read-session")
        answer = self._request.may_read_session
        if isinstance(answer, (wit.FactAnswer_Yes, wit.FactAnswer_No)):
            return isinstance(answer, wit.FactAnswer_Yes)
        raise Unavailable(answer.value if answer is not None else "may-read-session wasn't found out")


class Candidate:
    """What filters are asked. Everything in it may have been written by the session's owner: hostile input."""

    def __init__(self, candidate, declared):
        self.now = candidate.now
        self.attributes = Attributes(candidate.attributes, declared)


# === what is answered ===


class Answer:
    """What the functions below make. How it becomes the contract's value is looked at when the plugin has answered."""

    def __init__(self, word, make):
        self.word, self._make = word, make


def _reason(code, detail):
    return wit.Reason(_text("reason", code), _optional_text("detail", detail))


def _lifetime(valid_until, recheck_after_s):
    return wit.Lifetime(
        _optional_whole("valid_until", valid_until, _U64), _optional_whole("recheck_after_s", recheck_after_s, _U32))


@dataclass
class Challenge:
    """What a client is told that must authenticate first."""

    login: str | None = None
    schemes: list = field(default_factory=list)

    def _contract(self, exports, reason):
        return exports.Challenge(reason, _optional_text("login", self.login), _texts("schemes", self.schemes))


def allow(reason, principal, *, valid_until=None, recheck_after_s=None, detail=None):
    """The subject is this person, a `Principal`. `reason` is a code for machines: kebab-case, few different ones."""

    def make(exports):
        if not isinstance(principal, Principal):
            raise _wrong("principal", principal, "a Principal")
        it = wit.Principal(
            _text("principal.id", principal.id), _optional_text("principal.name", principal.name),
            _optional_text("principal.company", principal.company), _optional_text("principal.role", principal.role),
            _texts("principal.groups", principal.groups), _attributes("principal.claims", principal.claims))
        lifetime = _lifetime(valid_until, recheck_after_s)
        return exports.Decision_Allow(exports.Allowance(it, lifetime, _reason(reason, detail)))

    return Answer("allow", make)


def challenge(reason, *, login=None, schemes=(), detail=None):
    """Stop here and ask for credentials."""
    return Answer("challenge", lambda exports: exports.Decision_Challenge(
        Challenge(login, schemes)._contract(exports, _reason(reason, detail))))


def deny(reason, *, valid_until=None, recheck_after_s=None, detail=None):
    """Recognised, and may not enter."""
    return Answer("deny", lambda exports: exports.Decision_Deny(
        exports.Denial(_reason(reason, detail), _lifetime(valid_until, recheck_after_s))))


def abstain(reason, *, challenge=None, detail=None):
    """The next plugin decides. An authenticator may leave a `Challenge`."""

    def make(exports):
        why = _reason(reason, detail)
        if not hasattr(exports, "Abstention"):
            if challenge is not None:
                raise TypeError("a policy's abstention carries no challenge")
            return exports.Decision_Abstain(why)
        if challenge is not None and not isinstance(challenge, Challenge):
            raise _wrong("challenge", challenge, "a Challenge")
        told = None if challenge is None else challenge._contract(exports, why)
        return exports.Decision_Abstain(exports.Abstention(why, told))

    return Answer("abstain", make)


def forward(reason, *, endpoint=None, request_headers=None, response_headers=None, request_body_bytes=None,
            response_timeout_ms=None, valid_until=None, recheck_after_s=None, detail=None):
    """Let it through. Headers are changed by mappings `{"remove": [name], "set": {name: value}, "append": {name: value}}`."""

    def make(exports):
        limits = None
        if request_body_bytes is not None or response_timeout_ms is not None:
            limits = exports.Limits(
                _optional_whole("request_body_bytes", request_body_bytes, _U64),
                _optional_whole("response_timeout_ms", response_timeout_ms, _U32))
        return exports.Decision_Forward(exports.Forwarding(
            _reason(reason, detail), _lifetime(valid_until, recheck_after_s), _optional_text("endpoint", endpoint),
            _edits(exports, "request_headers", request_headers), _edits(exports, "response_headers", response_headers), limits))

    return Answer("forward", make)


def _edits(exports, what, value):
    value = _mapping(what, {} if value is None else value)
    for key in value:
        if key not in ("remove", "set", "append"):
            raise TypeError(f"{what}.{key}: found an unknown key, expected one of remove, set, append")

    def fields(key, of):
        for name, values in _mapping(f"{what}.{key}", value.get(key, {})).items():
            for it in values if isinstance(values, (list, tuple)) else [values]:
                held = it if isinstance(it, bytes) else _text(f"{what}.{key}.{name}", it).encode("utf-8")
                yield of(wit.Field(_text(what, name), held))

    removed = [exports.HeaderEdit_Remove(name) for name in _texts(f"{what}.remove", value.get("remove", []))]
    return [*removed, *fields("set", exports.HeaderEdit_Set), *fields("append", exports.HeaderEdit_Append)]


def redirect(reason, location, *, valid_until=None, recheck_after_s=None, detail=None):
    """307 to a path of this gateway, or to a URL on a host that its configuration knows."""
    return Answer("redirect", lambda exports: exports.Decision_Redirect(exports.Redirection(
        _reason(reason, detail), _lifetime(valid_until, recheck_after_s), _text("location", location))))


def reject(reason, *, message=None, valid_until=None, recheck_after_s=None, detail=None):
    """Not for them. With a message 403, without one the answer for a session that doesn't exist."""
    return Answer("reject", lambda exports: exports.Decision_Reject(exports.Rejection(
        _reason(reason, detail), _lifetime(valid_until, recheck_after_s), _optional_text("message", message))))


def unauthenticated(reason, *, detail=None):
    """Perhaps, for somebody known."""
    return Answer("unauthenticated", lambda exports: exports.Decision_Unauthenticated(_reason(reason, detail)))


def keep(reason, *, name=None, access=None, upstream_path=None, labels=None, detail=None):
    """Publish it. `upstream_path` is "strip" or "keep"; labels become session attributes `label.<name>`."""

    def make(exports):
        paths = {None: None, "strip": exports.UpstreamPath.STRIP, "keep": exports.UpstreamPath.KEEP}
        if upstream_path is not None and not (isinstance(upstream_path, str) and upstream_path in paths):
            raise _wrong("upstream_path", upstream_path, '"strip" or "keep"')
        return exports.Verdict_Keep(exports.Keeping(
            _reason(reason, detail), _optional_text("name", name), _optional_text("access", access), paths[upstream_path],
            _attributes("labels", labels)))

    return Answer("keep", make)


def drop(reason, *, detail=None):
    """Don't publish it."""
    return Answer("drop", lambda exports: exports.Verdict_Drop(_reason(reason, detail)))


# === what the host does ===


class _Log:
    """Lines in the gateway's log, where the manifest grants `log`. No credentials: the host can't recognise them."""

    def __getattr__(self, level):
        if level not in ("debug", "info", "warn", "error"):
            raise AttributeError(level)
        if _host_log is None:
            raise RuntimeError("log isn't granted: grants.log in plugins.yaml was false when this component was built")
        return lambda message: _host_log.write(getattr(_host_log.Level, level.upper()), _bounded(message))


log = _Log()


@dataclass
class Verified:
    """A token that verified: one claim for each that was declared, in their order, None where the token doesn't have it."""

    claims: list
    valid_until: int | None
    ok: bool = True


@dataclass
class Refused:
    """A token that isn't accepted, and why: the contract's word (`expired`). The detail is for the log."""

    why: str
    detail: str | None = None
    ok: bool = False


def verify(verification, token):
    """Has the host verify a token by the declared verification of this number: `Verified` or `Refused`. Raises `Unavailable`
    where the key set isn't there."""
    if _host_jwt is None:
        raise RuntimeError("jwt isn't granted: grants.key_sets in plugins.yaml was empty when this component was built")
    try:
        verified = _host_jwt.verify(_whole("verification", verification, _U32), _text("token", token))
    except Err as refused:
        return _refusal(verification, refused.value)
    claims = [None if it is None else json.loads(it.value) if isinstance(it, _host_jwt.ClaimValue_Json) else it.value
              for it in verified.claims]
    return Verified(claims, verified.valid_until)


def _refusal(verification, why):
    if isinstance(why, _host_jwt.VerifyError_Unavailable):
        raise Unavailable(why.value)
    if isinstance(why, _host_jwt.VerifyError_Undeclared):
        raise LookupError(f"verification {verification} isn't among what it said that it verifies")
    name = type(why).__name__.removeprefix("VerifyError_")
    word = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("-")
    return Refused(word, getattr(why, "value", None))


# === a plugin has no clock, no chance and no files ===

# While the component is made there are files and a clock; afterwards a call of either would end the instance.
_closed, _now = False, None


def _instant():
    if _now is None:
        raise RuntimeError("there is no time here: a plugin knows the instant of a call alone, as request.now")
    return _now


def _refusing(error, message):
    def refuse(*_arguments, **_options):
        raise error(message)

    return refuse


def _until_closed(first, then):
    return lambda *arguments, **options: (then if _closed else first)(*arguments, **options)


class _Lines(io.TextIOBase):
    """What is printed: lines of the log where it's granted, and nothing otherwise."""

    def __init__(self, level, first):
        self._level, self._first, self._begun = level, first, ""

    def writable(self):
        return True

    def write(self, text):
        if not _closed:
            return self._first.write(text)
        if _host_log is not None:
            *lines, begun = (self._begun + text).split("\n")
            for line in lines:
                getattr(log, self._level)(line)
            # The log takes no more of a line.
            self._begun = begun[:_LONGEST + 1]
        return len(text)

    def flush(self):
        if not _closed:
            self._first.flush()

    def end(self):
        """A line ends with its call: what one visitor brought must not stand in another's."""
        if self._begun:
            self.write("\n")


_OUT, _ERR = _Lines("info", sys.stdout), _Lines("warn", sys.stderr)
_Engine = datetime.datetime


class _AnyDatetime(type):
    """Values that Python's own code made are such, too."""

    def __instancecheck__(cls, it):
        return isinstance(it, _Engine)

    def __subclasscheck__(cls, it):
        return issubclass(it, _Engine)


class _Datetime(_Engine, metaclass=_AnyDatetime):
    """In place of `datetime.datetime`, whose clock is the system's."""

    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(_instant() / 1000, tz) if _closed else _Engine.now(tz)

    @classmethod
    def utcnow(cls):
        return cls.now(datetime.timezone.utc).replace(tzinfo=None)

    @classmethod
    def today(cls):
        return cls.now()


_Datetime.__name__ = _Datetime.__qualname__ = "datetime"
_Datetime.__module__ = "datetime"


class _NoFiles:
    """In place of the finder that looks for modules in files."""

    @staticmethod
    def find_spec(name, _path=None, _origin=None):
        raise ImportError(f"{name}: import at the beginning of plugin.py; a component has no files once it's made", name=name)


# Of the operating system's functions those that ask nobody, and the two that have a stand-in of their own.
_PURE = {"cpu_count", "fspath", "getcwd", "getcwdb", "getpid", "putenv", "register_at_fork", "strerror", "unsetenv"}
_OWN = {"isatty", "urandom"}


def _stand_ins():
    """What takes whose place, by identity. Python's own would end the instance, or answer the same numbers in each."""
    pairs = [(_Engine, _Datetime)]

    def replace(of, names, then):
        pairs.extend((getattr(of, name), then(name)) for name in names if hasattr(of, name))

    def clock(unit):
        return lambda name: _until_closed(getattr(time, name), lambda *_: unit(_instant()))

    clocks = ["time", "monotonic", "perf_counter", "clock_gettime", "process_time", "thread_time"]
    replace(time, clocks, clock(lambda now: now / 1000))
    replace(time, [f"{name}_ns" for name in clocks], clock(lambda now: now * 1_000_000))
    for name in ("localtime", "gmtime", "ctime"):
        replace(time, [name], lambda name, of=getattr(time, name): _until_closed(
            of, lambda seconds=None: of(_instant() / 1000 if seconds is None else seconds)))
    asctime, gmtime, strftime = time.asctime, time.gmtime, time.strftime
    then = lambda parts: gmtime(_instant() / 1000) if parts is None else parts
    pairs.append((asctime, _until_closed(asctime, lambda parts=None: asctime(then(parts)))))
    pairs.append((strftime, _until_closed(strftime, lambda shape, parts=None: strftime(shape, then(parts)))))
    waits = _refusing(RuntimeError, "time.sleep: a plugin can't wait")
    replace(time, ["sleep"], lambda name: _until_closed(time.sleep, waits))

    no_files = _refusing(OSError, "a plugin has no files: read them at the beginning of plugin.py")
    replace(io, ["open", "open_code"], lambda name: _until_closed(getattr(io, name), no_files))
    system = [name for name, it in vars(posix).items() if isinstance(it, types.BuiltinFunctionType) and name not in _PURE | _OWN]
    # It never raises, and libraries count on that.
    pairs.append((posix.isatty, _until_closed(posix.isatty, lambda _: False)))
    system = [name for name in system if not name.startswith(("_path_", "W"))]
    replace(posix, system, lambda name: _until_closed(
        getattr(posix, name), _refusing(OSError, f"os.{name}: a plugin has no files, and no system below it")))

    no_chance = "isn't there: a decision follows from its inputs alone"
    pairs.append((os.urandom, _refusing(OSError, f"chance {no_chance}")))
    functions = [name for name, it in vars(random).items() if getattr(it, "__self__", None) is random._inst]
    replace(random, functions, lambda name: _refusing(RuntimeError, f"random.{name} {no_chance}"))
    return pairs


def _install():
    stand_ins = _stand_ins()
    # Methods of the one generator that were bound before call these.
    for name in ("random", "getrandbits", "seed"):
        setattr(random._inst, name, _refusing(RuntimeError, f"random.{name} isn't there: a decision follows from its inputs alone"))
    seed = random.Random.seed

    def seeded(self, a=None, version=2):
        if a is None:
            raise RuntimeError("random.Random without a seed isn't there: a decision follows from its inputs alone")
        seed(self, a, version)

    random.Random.seed = seeded
    # There are no sources to look into once the component is made.
    linecache.updatecache, linecache.checkcache = (lambda *_: []), (lambda *_: None)
    warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}", file=sys.stderr)
    sys.stdout, sys.stderr = _OUT, _ERR
    return {id(it): (it, instead) for it, instead in stand_ins}


def _replace_names():
    """In all modules, for some have taken a name before (`from time import time`)."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        for name, it in list(names.items()) if isinstance(names, dict) and names is not globals() else []:
            if id(it) in _INSTEAD:
                names[name] = _INSTEAD[id(it)][1]
    if asyncio := sys.modules.get("asyncio"):
        waits = _refusing(RuntimeError, "asyncio: a plugin can't wait")
        asyncio.run = asyncio.new_event_loop = asyncio.events.new_event_loop = waits


def _close():
    """When the component is made and configured there are no files any more; until then there are."""
    global _closed
    _closed = True
    sys.stdin = io.StringIO()
    sys.meta_path[:] = [it for it in sys.meta_path if it is not importlib.machinery.PathFinder] + [_NoFiles]


if wit is not None:
    import posix

    _INSTEAD = _install()
    _replace_names()


# === exports ===


def _exported(plugin_class, method, view, words, interface):
    # Here and not in a call: a component can import modules while it's made, and has no files afterwards.
    exports = importlib.import_module(f"wit_world.exports.{interface}") if wit is not None else None
    if wit is not None:
        _replace_names()
    state = {}

    def configure(text):
        _close()
        config = Config.parse(text)
        plugin = plugin_class(config)
        config.finish()
        declaration = _declaration(plugin)
        state["plugin"], state["declared"] = plugin, _Declared(plugin)
        return declaration

    def decide(asked):
        global _now
        if not state:
            raise RuntimeError("called before configure")
        _now = asked.now
        try:
            answer = getattr(state["plugin"], method)(view(asked, state["declared"]))
            if isinstance(answer, types.CoroutineType):
                answer.close()
                raise TypeError(f"{method} answered a coroutine (plugins can't wait: leave out async)")
        finally:
            _now = None
        if not isinstance(answer, Answer) or answer.word not in words:
            found = answer.word if isinstance(answer, Answer) else _described(answer)
            raise TypeError(f"{method} answered {found}, expected what one of {', '.join(words)} makes")
        return answer._make(exports)

    class Exported:
        def configure(self, config):
            return _guarded(configure, config)

    setattr(Exported, method, lambda self, asked: _guarded(decide, asked))
    return Exported


def authenticator(plugin_class):
    """Makes the export `Authentication` of a class with a method `authenticate(self, request)`."""
    return _exported(plugin_class, "authenticate", Request, ("allow", "challenge", "deny", "abstain"), "authentication")


def routing_policy(plugin_class):
    """Makes the export `Routing` of a class with a method `route(self, request)`."""
    words = ("forward", "redirect", "reject", "unauthenticated", "abstain")
    return _exported(plugin_class, "route", Request, words, "routing")


def discovery_filter(plugin_class):
    """Makes the export `Discovery` of a class with a method `filter(self, candidate)`."""
    return _exported(plugin_class, "filter", Candidate, ("keep", "drop"), "discovery")
