//! Loading: what is read, what wins, and what is said when it can't be.

use std::io::Write;

use super::*;

mod documents;

fn under(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    load(Some(file.path()), &variables.iter().copied().collect()).map_err(|mut error| {
        if let Origin::File(path, _) = &mut error.origin {
            *path = "gate.yaml".into();
        }
        error
    })
}

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    under(text, variables).unwrap_or_else(|error| panic!("{error}")).config
}

fn complaint(text: &str, variables: &[(&str, &str)]) -> String {
    match under(text, variables) {
        Ok(_) => panic!("accepted: {text} {variables:?}"),
        Err(error) => error.to_string(),
    }
}

/// YAML that is wrong, and the whole sentence that its operator reads.
#[test]
fn an_error_names_the_key_what_was_found_and_what_was_expected() {
    let cases = [
        ("http:\n  liste: 1", "gate.yaml:2: http.liste: unknown key `liste`; did you mean `listen`?"),
        ("htp: {}", "gate.yaml:1: htp: unknown key `htp`; did you mean `http`?"),
        ("admin:\n  colour: red", "gate.yaml:2: admin.colour: unknown key `colour`; known here: listen, token, connections"),
        (
            "# first\n\nhttp:\n  listen: '8080'",
            "gate.yaml:4: http.listen: found \"8080\", expected an IP address and port such as 0.0.0.0:8080 or [::]:8080",
        ),
        ("http:\n  workers: 0", "gate.yaml:2: http.workers: found 0, expected a whole number from 1"),
        ("http: 5", "gate.yaml:1: http: found 5, expected a map of keys"),
        ("http:\n  limits:\n    headers: many\n", "gate.yaml:3: http.limits.headers: found text \"many\", expected a whole number"),
        ("http: {limits: {head_bytes: 100}}", "gate.yaml:1: http.limits.head_bytes: found 100, expected at least 8192"),
        (
            "discovery:\n  dial:\n    networks:\n      - 10.0.0.0/8\n      - here\n",
            "gate.yaml:5: discovery.dial.networks[1]: found \"here\", expected a network such as 10.0.0.0/8",
        ),
        (
            "login:\n  users:\n  - id: ada\n    password: a\n  - id: bob\n    pasword: b\n",
            "gate.yaml:6: login.users[1].pasword: unknown key `pasword`; did you mean `password`?",
        ),
        ("login:\n  users:\n  - id: ada\n", "gate.yaml:3: login.users[0]: missing field `password`"),
        (
            "public_url: https://gate/x",
            "gate.yaml:1: public_url: found \"https://gate/x\", which has more than scheme, host and port; expected how people \
             reach the gateway, such as https://gate.example.org",
        ),
        (
            "base_domain: 10.0.0.1",
            "gate.yaml:1: base_domain: found \"10.0.0.1\", which is an address: names can't be made below it; expected a DNS \
             name such as apps.example.org",
        ),
        (
            "log:\n  level: verbose",
            "gate.yaml:2: log.level: found \"verbose\", expected off, error, warn, info, debug, trace or directives such as \
             info,module=debug",
        ),
        ("name: a b", "gate.yaml:1: name: found \"a b\", expected 1 to 63 letters, digits, `-`, `_` or `.`"),
        ("tcp: {ports: {start: 9, end: 8}}", "gate.yaml:1: tcp.ports: found 9 to 8, expected a start from 1 up to the end"),
        (
            "tcp: {ports: {start: 8000, end: 8999}}",
            "gate.yaml:1: tcp.ports: found 8000 to 8999, which holds the port 8080 of http.listen; expected ports of its own",
        ),
        (
            "tcp: {static_ports: {a: 5, b: 5}}",
            "gate.yaml:1: tcp.static_ports: found port 5 for \"b\", expected 1 to 65535, each once",
        ),
        (
            "tcp: {address: 'tcp://gate:5'}",
            "gate.yaml:1: tcp.address: found \"tcp://gate:5\", expected a host's name or an address, without scheme and port",
        ),
        (
            "login: {same_site: none}",
            "gate.yaml:1: login.same_site: found none, which browsers take only with login.secure: expected a public_url with \
             https",
        ),
        (
            "clearml:\n  api_url: ftp://api",
            "gate.yaml:2: clearml.api_url: found something else, expected an http or https URL of the API server",
        ),
        (
            "clearml:\n  api_url: http://ada:hush@api",
            "gate.yaml:2: clearml.api_url: found a URL with a user or password in it; expected them in access_key and secret_key",
        ),
        (
            "clearml:\n  api_url: http://api\n  access_key: hush",
            "gate.yaml:3: clearml.access_key: found only one of access_key and secret_key, expected both or neither",
        ),
        (
            "clearml:\n  api_url: http://api\n  poll_ms: 0",
            "gate.yaml:3: clearml.poll_ms: found 0 (and longest_poll_ms 30000), expected 100 up to longest_poll_ms",
        ),
        (
            "login: {accept_cookies: ['*']}",
            "gate.yaml:1: login.accept_cookies: found \"*\", expected cookies' names, or beginnings of them with `*` behind",
        ),
        ("- a", "gate.yaml:1: found something else, expected a map of sections (name, http, plugins, …)"),
    ];
    for (text, sentence) in cases {
        assert_eq!(complaint(text, &[]), sentence, "{text}");
    }
}

#[test]
fn yaml_that_is_not_yaml_names_the_line() {
    for text in ["name: a\nhttp: [", "name: a\nname: b"] {
        let complaint = complaint(text, &[]);
        assert!(complaint.starts_with("gate.yaml:2: not YAML: ") && complaint.lines().count() == 1, "{complaint}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load(Some("nowhere/gate.yaml".as_ref()), &Environment::default()).unwrap_err();
    assert!(error.to_string().starts_with("nowhere/gate.yaml: the configuration can't be read: "), "{error}");
}

#[test]
fn nothing_is_a_configuration() {
    for text in ["", "# only a comment\n", "---\n", "http:\n", "http:\n  limits:\nlogin:\nclearml:\nkey_sets:\n"] {
        assert!(under(text, &[]).is_ok(), "{text:?}: {}", complaint(text, &[]));
    }
    assert_eq!(parse("").unwrap().config.public_origin(), "http://0.0.0.0:8080");
}

#[test]
fn a_variable_wins_over_the_file() {
    let config = config(
        "name: file\nhttp: {listen: '127.0.0.1:1', workers: 2}",
        &[
            ("WICKETGATE_NAME", "variable"),
            ("WICKETGATE_HTTP__WORKERS", "7"),
            ("WICKETGATE_HTTP__LIMITS__BODY_BYTES", "1024"),
            ("WICKETGATE_PLUGINS__CACHE__BYTES", "0"),
            ("WICKETGATE_LOG__ACCESS", "false"),
            ("WICKETGATE_PUBLIC_URL", "https://gate.example.org"),
            ("WICKETGATE_CLEARML__API_URL", "http://api:8008"),
        ],
    );
    assert_eq!(config.name, "variable");
    assert_eq!((config.http.listen.port(), config.http.workers.map(usize::from)), (1, Some(7)));
    assert_eq!((config.http.limits.body_bytes, config.plugins.cache.bytes, config.log.access), (Some(1024), 0, false));
    assert_eq!(config.public_origin(), "https://gate.example.org");
    assert_eq!(config.clearml.unwrap().api_url.as_str(), "http://api:8008/");
}

#[test]
fn a_variable_is_read_as_its_key_needs_it() {
    for password in
        ["12345", "true", "1e9", "&anchor", "*alias", "!tag", "x #y", "a: b", "[a", "\"quoted\"", " space ", "- x", "a,b"]
    {
        let config = config("", &[("WICKETGATE_ADMIN__TOKEN", password)]);
        assert_eq!(config.admin.token.unwrap().reveal(), password);
    }
    assert!(config("", &[("WICKETGATE_ADMIN__TOKEN", "")]).admin.token.is_none());
    assert_eq!(config("", &[("WICKETGATE_NAME", "42")]).name, "42");
    for networks in ["10.0.0.0/8, fd00::/8", "10.0.0.0/8 fd00::/8", "['10.0.0.0/8', 'fd00::/8']"] {
        let config = config("", &[("WICKETGATE_DISCOVERY__DIAL__NETWORKS", networks)]);
        assert_eq!(config.discovery.dial.networks.unwrap().len(), 2, "{networks}");
    }
}

#[test]
fn an_error_of_a_variable_names_it() {
    assert_eq!(
        complaint("http: {listen: '127.0.0.1:1'}", &[("WICKETGATE_HTTP__LISTEN", "8080")]),
        "environment variable WICKETGATE_HTTP__LISTEN: http.listen: found 8080, expected an IP address and port such as 0.0.0.0:8080 or [::]:8080"
    );
    assert_eq!(
        complaint("", &[("WICKETGATE_HTTP__LISTEM", "x")]),
        "environment variable WICKETGATE_HTTP__LISTEM: http.listem: unknown key `listem`; did you mean `listen`?"
    );
    assert_eq!(
        complaint("", &[("ROUTER_NAME", "a/b")]),
        "environment variable ROUTER_NAME: name: found \"a/b\", expected 1 to 63 letters, digits, `-`, `_` or `.`"
    );
    // Two wrong variables: the first complaint isn't mixed up with the other's.
    let both = complaint("", &[("WICKETGATE_HTTP__WORKERS", "many"), ("WICKETGATE_LOG__ACCESS", "maybe")]);
    assert!(both.contains("WICKETGATE_HTTP__WORKERS: http.workers: found text \"many\""), "{both}");
}

#[test]
fn kubernetes_service_links_are_not_taken_for_keys() {
    let links = [
        ("WICKETGATE_SERVICE_HOST", "10.0.0.1"),
        ("WICKETGATE_SERVICE_PORT", "80"),
        ("WICKETGATE_SERVICE_PORT_HTTP", "80"),
        ("WICKETGATE_PORT", "tcp://10.0.0.1:80"),
        ("WICKETGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("WICKETGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("WICKETGATE_ADMIN_SERVICE_HOST", "10.0.0.1"),
    ];
    let plain = under("", &[]).unwrap().notices;
    assert_eq!(under("", &links).unwrap().notices, plain);
    let notices = under("", &[("WICKETGATE_PUBLICURL", "x")]).unwrap().notices;
    assert!(notices.iter().any(|notice| notice.contains("WICKETGATE_PUBLICURL isn't known")), "{notices:?}");
}

const SERVER: (&str, &str) = ("CLEARML_API_HOST", "http://api:8008");

#[test]
fn every_legacy_name_reaches_its_key() {
    let cases: [(&str, &str, &str, serde_json::Value); 22] = [
        ("ROUTER_NAME", "gate-1", "/name", "gate-1".into()),
        ("ROUTER_URL", "https://gate.example.org", "/public_url", "https://gate.example.org".into()),
        ("LOGGER_LEVEL", "WARNING", "/log/level", "warn".into()),
        ("CLEARML_API_HOST", "http://api:1", "/clearml/api_url", "http://api:1/".into()),
        ("CLEARML_API_ACCESS_KEY", "k", "/clearml/access_key", "…".into()),
        ("CLEARML_API_SECRET_KEY", "s", "/clearml/secret_key", "…".into()),
        ("LISTEN_QUEUE_NAME", "a, b c", "/clearml/queues", serde_json::json!(["a", "b", "c"])),
        ("SSL_VERIFY", "False", "/clearml/ssl_verify", false.into()),
        ("AUTH_BASE64_JWKS_KEY", "a2V5", "/clearml/token_secret", "…".into()),
        ("AUTH_COOKIE_NAME", "allegro_token_x", "/login/accept_cookies", serde_json::json!(["allegro_token_x"])),
        ("AUTH_SECURE_ENABLED", "true", "/login/secure", true.into()),
        ("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "true", "/login/secure", true.into()),
        ("ROUTER__WEBSERVER__SERVER_PORT", "8081", "/http/listen", "127.0.0.1:8081".into()),
        ("TCP_ROUTER_ADDRESS", "gate", "/tcp/address", "gate".into()),
        ("STREAM_ROUTER_ADDRESS", "gate", "/tcp/address", "gate".into()),
        ("ROUTER__STREAM__EXTERNAL_URL", "tcp://gate/", "/tcp/address", "gate".into()),
        ("TCP_PORT_START", "10000", "/tcp/ports/start", 10_000.into()),
        ("STREAM_PORT_START", "10000", "/tcp/ports/start", 10_000.into()),
        ("ROUTER__STREAM__PORT_RANGE__START", "10000", "/tcp/ports/start", 10_000.into()),
        ("TCP_PORT_END", "10010", "/tcp/ports/end", 10_010.into()),
        ("STREAM_PORT_END", "10010", "/tcp/ports/end", 10_010.into()),
        ("ROUTER__STREAM__PORT_RANGE__END", "10010", "/tcp/ports/end", 10_010.into()),
    ];
    assert!(legacy::NAMES.iter().all(|name| cases.iter().any(|case| case.0 == name.variable)));
    let file = "http: {listen: '127.0.0.1:1'}\ntcp: {ports: {start: 10001, end: 65535}}\npublic_url: https://a.b\n\
                clearml: {api_url: 'http://file', access_key: f, secret_key: f}";
    for (variable, text, key, expected) in cases {
        let shown = serde_json::to_value(config(file, &[(variable, text)])).unwrap();
        assert_eq!(shown.pointer(key), Some(&expected), "{variable}");
    }
}

#[test]
fn the_newer_name_wins_and_our_own_over_both() {
    let old = ("AUTH_SECURE_ENABLED", "true");
    let new = ("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "false");
    assert_eq!(config("", &[old, new]).login.secure, Some(false));
    let range = [("TCP_PORT_START", "1"), ("STREAM_PORT_START", "2"), ("TCP_PORT_END", "9")];
    assert_eq!(config("", &range).tcp.ports.unwrap().start, 2);
    assert_eq!(config("", &[old, new, ("WICKETGATE_LOGIN__SECURE", "true")]).login.secure, Some(true));
    assert_eq!(config("name: file", &[("ROUTER_NAME", "legacy")]).name, "legacy");
}

#[test]
fn queues_are_named_or_all_are_meant() {
    for (text, queues) in [("", &[][..]), ("none", &[]), ("None", &[]), ("gpu", &["gpu"]), ("gpu,cpu", &["gpu", "cpu"])] {
        let config = config("clearml: {api_url: 'http://api', queues: [file]}", &[("LISTEN_QUEUE_NAME", text)]);
        assert_eq!(config.clearml.unwrap().queues, queues, "{text:?}");
    }
}

#[test]
fn legacy_names_that_can_have_no_effect_say_so() {
    let notices = |variables: &[(&str, &str)]| under("", variables).unwrap().notices.join("\n");
    assert!(notices(&[("CLEARML_API_ACCESS_KEY", "k")]).contains("CLEARML_API_ACCESS_KEY has no effect without an API server"));
    assert!(notices(&[("AUTH_ENABLED", "false")]).contains("AUTH_ENABLED"));
    assert!(!notices(&[("AUTH_ENABLED", "True"), SERVER]).contains("AUTH_ENABLED"));
    assert!(notices(&[("TCP_ROUTER_ADDRESS", "gate")]).contains("tcp.address has no effect"));
    // Charts hand on what nobody filled in.
    assert_eq!(config("", &[("ROUTER_URL", ""), ("ROUTER_NAME", " ")]).name, "wicketgate");
}

#[test]
fn secrets_come_from_text_file_or_variable() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"from a file \n\n").unwrap();
    let path = file.path().display();
    let token = |text: &str| config(text, &[]).admin.token.unwrap().reveal().to_owned();
    assert_eq!(token("admin: {token: plain}"), "plain");
    assert_eq!(token(&format!("admin: {{token: {{file: '{path}'}}}}")), "from a file");
    assert_eq!(token("admin: {token: {env: CARGO_PKG_NAME}}"), "wicketgate");
    let in_variable = config("", &[("WICKETGATE_ADMIN__TOKEN", &format!("{{file: {path}}}"))]);
    assert_eq!(in_variable.admin.token.unwrap().reveal(), "from a file");
}

#[test]
fn a_secret_that_is_not_there_is_said_and_none_is_shown() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let path = empty.path().display();
    let cases = [
        (format!("{{file: '{path}'}}"), "is empty"),
        ("{file: nowhere/token}".into(), "the secret's file nowhere/token can't be read"),
        ("{env: WICKETGATE_TEST_UNSET}".into(), "the secret's environment variable WICKETGATE_TEST_UNSET isn't set"),
        ("''".into(), "found an empty text"),
        ("4711471147114711".into(), "found a number or boolean (put it in quotes)"),
        ("[hush4711]".into(), "found a list"),
        ("{file: hush4711, env: B}".into(), "found a map of another shape"),
        ("{vault: hush4711}".into(), "found a map of another shape"),
    ];
    for (secret, expected) in cases {
        let complaint = complaint(&format!("admin:\n  token: {secret}"), &[]);
        assert!(complaint.starts_with("gate.yaml:2: admin.token: ") && complaint.contains(expected), "{complaint}");
        assert!(!complaint.contains("4711"), "{complaint}");
    }
    let short = complaint("login: {secret: hush4711}", &[]);
    assert!(short.contains("login.secret: found a shorter one") && !short.contains("4711"), "{short}");
}

#[test]
fn a_place_that_holds_no_secret_is_never_the_secret_itself() {
    for text in ["{file: /nowhere/token}", " { env: WICKETGATE_TEST_UNSET } ", "{\"file\": \"/nowhere/token\"}", "{file: }"] {
        let complaint = complaint("", &[("WICKETGATE_ADMIN__TOKEN", text)]);
        assert!(complaint.starts_with("environment variable WICKETGATE_ADMIN__TOKEN: admin.token: "), "{text}: {complaint}");
    }
    assert!(complaint("admin: {token: '{file: /nowhere/token}'}", &[]).contains("a text that names a file or variable"));
}

#[test]
fn what_is_found_where_secrets_are_is_not_shown() {
    for (text, variables) in [
        ("", &[("WICKETGATE_LOGIN__USERS", "[{id: zed, password: hush4711")][..]),
        ("login: {users: [{id: ada, password: x}, {id: root, password:hush4711}]}", &[]),
        ("login: {users: ['root:hush4711']}", &[]),
        ("login: hush4711", &[]),
        ("key_sets: {x: hush4711}", &[]),
        ("clearml: hush4711", &[]),
        ("clearml: {api_url: hush4711}", &[]),
        ("admin: {token:hush4711}", &[]),
    ] {
        let complaint = complaint(text, variables);
        assert!(!complaint.contains("hush"), "{complaint}");
    }
}

#[test]
fn key_sets_are_read_by_kind() {
    let config = config(
        "key_sets:\n  sso: {kind: jwks, url: 'https://sso/keys', algorithms: [RS256]}\n  local: {kind: jwks, file: keys.json}\n  \
         shared: {kind: secret, secret: abc, encoding: base64url}\n  server: {kind: introspect}\n",
        &[],
    );
    assert!(
        matches!(&config.key_sets["sso"], KeySet::Jwks { source: JwksSource::Url(_), algorithms, .. } if algorithms.len() == 1)
    );
    assert!(matches!(&config.key_sets["local"], KeySet::Jwks { source: JwksSource::File(_), refresh_s: 300, .. }));
    assert!(matches!(&config.key_sets["server"], KeySet::Introspect { cache_s: 10 }));
    for (bad, expected) in [
        ("{kind: jwks}", "expected exactly one of `file` and `url`"),
        ("hush", "found text, expected a map of keys"),
        ("{kind: secret, secret:hush}", "is a space missing behind the colon?"),
        ("{kind: jwks, url: 'https://sso', colour: red}", "colour"),
        ("{kind: magic}", "unknown variant `magic`"),
        ("{kind: secret, secret: [hush]}", "found a list"),
    ] {
        let complaint = complaint(&format!("key_sets: {{x: {bad}}}"), &[]);
        assert!(complaint.contains(expected) && !complaint.contains("hush"), "{bad}: {complaint}");
    }
}

#[test]
fn the_cookie_reaches_session_hosts_only_when_people_log_in_within_the_base_domain() {
    let domain = |text: &str| config(text, &[]).cookie_domain().map(|domain| domain.to_string());
    assert_eq!(domain("{base_domain: apps.x.org, public_url: 'https://apps.x.org'}").as_deref(), Some("apps.x.org"));
    assert_eq!(domain("{base_domain: apps.x.org, public_url: 'https://gate.apps.x.org'}").as_deref(), Some("apps.x.org"));
    assert_eq!(domain("{base_domain: apps.x.org, public_url: 'https://gate.x.org'}"), None);
    assert_eq!(domain("base_domain: apps.x.org"), None);
}

#[test]
fn an_open_admin_listener_without_a_token_is_allowed_and_said() {
    let notices = under("admin: {listen: '0.0.0.0:9090'}", &[]).unwrap().notices.join("\n");
    assert!(notices.contains("only health and metrics are shown"), "{notices}");
    let with_token = under("admin: {listen: '0.0.0.0:9090', token: x}", &[]).unwrap().notices.join("\n");
    assert!(!with_token.contains("admin"), "{with_token}");
}
