//! Rules that a type can't hold: between keys, and smallest and largest values with their reasons.

use std::collections::BTreeSet;

use super::{Clearml, ClientCertificates, Config, KeySet, SameSite, is_registry};

/// A rule that the configuration breaks.
pub(super) struct Broken {
    pub key: &'static str,
    pub message: String,
}

/// An account may be kept logged in for a year, which is also the longest that the API server grants.
const LONGEST_SESSION_HOURS: u64 = 8_760;

/// How long an answer of the API server about a token may be used.
const LONGEST_INTROSPECTION_S: u64 = 300;

/// Until a dead leader is replaced, nothing new gets an address.
const LONGEST_LEASE_S: u64 = 600;

/// hyper can't work with a smaller buffer for a request's head.
const SMALLEST_HEAD: usize = 8_192;

/// A client may use this much before it has read the gateway's settings.
const SMALLEST_WINDOW: u32 = 65_535;
const LARGEST_WINDOW: u32 = 0x7fff_ffff;

pub(super) fn check(config: &Config) -> Result<(), Broken> {
    check_name(config)?;
    check_level(&config.log.level)?;
    check_limits(config)?;
    check_login(config)?;
    config.clearml.as_ref().map_or(Ok(()), check_clearml)?;
    check_kubernetes(config)?;
    check_key_sets(config)?;
    check_registries(config)?;
    check_tls(config)?;
    if config.http.listen == config.admin.listen && config.http.listen.port() != 0 {
        return broken("admin.listen", format!("found {}, which is http.listen; expected another port", config.admin.listen));
    }
    check_tcp(config)
}

/// What is allowed and may surprise.
pub(super) fn notices(config: &Config) -> Vec<String> {
    let mut notices = Vec::new();
    let annotated = config.kubernetes.as_ref().is_some_and(|kubernetes| kubernetes.pods.annotated);
    if config.clearml.is_none() && config.discovery.file.is_none() && !annotated {
        notices.push("there is no source of sessions: neither of the sections clearml and kubernetes, nor discovery.file".into());
    }
    if config.clearml.is_none() && config.login.users.is_empty() && config.key_sets.is_empty() {
        notices.push("nobody can log in: neither the section clearml nor login.users nor key_sets".into());
    }
    if !config.admin.listen.ip().is_loopback() && config.admin.token.is_none() {
        notices.push(format!(
            "admin.listen is {}, which isn't loopback, and there's no admin.token: only health and metrics are shown",
            config.admin.listen
        ));
    }
    if config.tcp.ports.is_some() {
        notices.push(
            "tcp.ports: whoever reaches a leased port is let in, and the session behind it authenticates, unless the routing policy \
             says otherwise (tcp_access: known-address or client-certificate)"
                .into(),
        );
        let has_secret = config.login.secret.is_some() || config.clearml.as_ref().is_some_and(|it| it.secret_key.is_some());
        if !has_secret {
            notices.push(
                "tcp.ports: without login.secret (or clearml.secret_key), a restarted gateway doesn't know its own records of leased \
                 ports"
                    .into(),
            );
        }
    } else if config.tcp.address.is_some() {
        notices.push("tcp.address has no effect without tcp.ports: TCP endpoints aren't served".into());
    }
    if config.tls.listen.is_some() && !config.is_https() {
        notices.push("tls.listen is set and public_url isn't https: people are sent to addresses without TLS".into());
    }
    if config.base_domain.is_some() && config.cookie_domain().is_none() {
        notices.push(
            "base_domain: the host of public_url isn't within it, so a login there isn't seen by the sessions' own hosts".into(),
        );
    }
    for (host, _) in config.plugins.registries.iter().filter(|(_, it)| it.plain_http && it.password.is_some()) {
        notices.push(format!("plugins.registries: the password for {host} goes over the network without TLS (plain_http)"));
    }
    if config.base_domain.is_none() {
        notices.push(
            "base_domain isn't set: all sessions share one origin in the browser, and their pages are not kept fully apart".into(),
        );
    }
    if config.login.secure == Some(true) && !config.is_https() {
        notices.push(
            "login.secure is true and public_url isn't https: browsers keep the login cookie only over TLS or on localhost".into(),
        );
    }
    notices
}

fn check_clearml(clearml: &Clearml) -> Result<(), Broken> {
    let url = &clearml.api_url;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return broken("clearml.api_url", "found something else, expected an http or https URL of the API server".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return broken(
            "clearml.api_url",
            "found a URL with a user or password in it; expected them in access_key and secret_key".into(),
        );
    }
    if clearml.access_key.is_some() != clearml.secret_key.is_some() {
        return broken("clearml.access_key", "found only one of access_key and secret_key, expected both or neither".into());
    }
    // A shorter pause would be an attack on the server.
    let (poll, longest) = (clearml.poll_ms, clearml.longest_poll_ms);
    if poll < 100 || longest < poll {
        return broken(
            "clearml.poll_ms",
            format!("found {poll} (and longest_poll_ms {longest}), expected 100 up to longest_poll_ms"),
        );
    }
    if clearml.timeout_ms == 0 || clearml.answer_mib == 0 || clearml.sessions == 0 {
        return broken("clearml.timeout_ms", "found 0 in it, in answer_mib or in sessions, expected at least 1 each".into());
    }
    Ok(())
}

fn check_kubernetes(config: &Config) -> Result<(), Broken> {
    if !config.plugins.config_maps.is_empty() && (config.kubernetes.is_none() || config.plugins.directory.is_none()) {
        let message = "found ConfigMaps to watch, expected the section kubernetes, and in plugins.directory where they are mounted";
        return broken("plugins.config_maps", message.into());
    }
    if let Some(name) = config.plugins.config_maps.iter().find(|name| !is_object_name(name)) {
        return broken("plugins.config_maps", format!("found {name:?}, expected the name of a ConfigMap"));
    }
    let Some(kubernetes) = &config.kubernetes else { return Ok(()) };
    if let Some(namespace) = kubernetes.namespace.as_ref().filter(|name| !is_object_name(name) || name.contains('.')) {
        return broken("kubernetes.namespace", format!("found {namespace:?}, expected the name of a namespace"));
    }
    let election = &kubernetes.election;
    // The gateway's name may have letters that no object's name has.
    match &election.lease {
        Some(lease) if !is_object_name(lease) => {
            return broken("kubernetes.election.lease", format!("found {lease:?}, expected the name of a Lease"));
        }
        None if !is_object_name(&config.name) => {
            let message =
                format!("found none, and name, {:?}, isn't one that a Lease can have; expected a name for it", config.name);
            return broken("kubernetes.election.lease", message);
        }
        _ => {}
    }
    // A leader that isn't heard stops by itself after two thirds of it: there must be room for more than one try.
    if election.renew_s == 0 || election.lease_s < election.renew_s.saturating_mul(3) || election.lease_s > LONGEST_LEASE_S {
        let message = format!(
            "found {} with renew_s {}, expected at least three times renew_s and at most {LONGEST_LEASE_S}",
            election.lease_s, election.renew_s
        );
        return broken("kubernetes.election.lease_s", message);
    }
    Ok(())
}

/// A DNS subdomain in lower case (RFC 1123), as names of Kubernetes' objects are.
fn is_object_name(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

fn check_tcp(config: &Config) -> Result<(), Broken> {
    let tcp = &config.tcp;
    if let Some(address) = &tcp.address
        && (url::Host::parse(address.trim_matches(['[', ']'])).is_err() && address.parse::<std::net::IpAddr>().is_err())
    {
        return broken("tcp.address", format!("found {address:?}, expected a host's name or an address, without scheme and port"));
    }
    if let Some(ports) = tcp.ports {
        if ports.start == 0 || ports.start > ports.end {
            return broken("tcp.ports", format!("found {} to {}, expected a start from 1 up to the end", ports.start, ports.end));
        }
        if let Some((key, port)) = own_ports(config).find(|(_, port)| ports.holds(*port)) {
            let message =
                format!("found {} to {}, which holds the port {port} of {key}; expected ports of its own", ports.start, ports.end);
            return broken("tcp.ports", message);
        }
    }
    let mut seen = BTreeSet::new();
    for (name, port) in &tcp.static_ports {
        if *port == 0 || !seen.insert(port) {
            return broken("tcp.static_ports", format!("found port {port} for {name:?}, expected 1 to 65535, each once"));
        }
        if let Some((key, _)) = own_ports(config).find(|(_, own)| own == port) {
            return broken("tcp.static_ports", format!("found port {port} for {name:?}, which is that of {key}; expected another"));
        }
    }
    Ok(())
}

fn check_tls(config: &Config) -> Result<(), Broken> {
    let tls = &config.tls;
    if let Some(listen) = tls.listen {
        if tls.certificates.is_empty() {
            return broken("tls.certificates", "found none, expected at least one for tls.listen".into());
        }
        let others = [("http.listen", config.http.listen), ("admin.listen", config.admin.listen)];
        if let Some((key, _)) = others.into_iter().find(|(_, other)| *other == listen && listen.port() != 0) {
            return broken("tls.listen", format!("found {listen}, which is {key}; expected another port"));
        }
    }
    if tls.client_ca.is_none() && tls.client_certificates == ClientCertificates::Required {
        return broken("tls.client_certificates", "found required without tls.client_ca, expected the authorities there".into());
    }
    Ok(())
}

/// The ports of the gateway's own listeners.
fn own_ports(config: &Config) -> impl Iterator<Item = (&'static str, u16)> {
    let own = [("http.listen", config.http.listen.port()), ("admin.listen", config.admin.listen.port())];
    own.into_iter().chain(config.tls.listen.map(|listen| ("tls.listen", listen.port())))
}

fn check_key_sets(config: &Config) -> Result<(), Broken> {
    if config.key_sets.contains_key("gateway") {
        return broken("key_sets", "found a set of the gateway's own name `gateway`, expected another name".into());
    }
    for (name, set) in &config.key_sets {
        // A logout must be seen within minutes.
        if let KeySet::Introspect { cache_s } = set
            && *cache_s > LONGEST_INTROSPECTION_S
        {
            return broken("key_sets", format!("found cache_s {cache_s} in {name:?}, expected at most {LONGEST_INTROSPECTION_S}"));
        }
    }
    Ok(())
}

fn check_registries(config: &Config) -> Result<(), Broken> {
    for (host, registry) in &config.plugins.registries {
        if !is_registry(host) {
            return broken("plugins.registries", format!("found {host:?}, expected a host or host:port, as manifests write it"));
        }
        if registry.username.is_some() != registry.password.is_some() {
            let message = format!("found only one of username and password for {host:?}, expected both or neither");
            return broken("plugins.registries", message);
        }
    }
    Ok(())
}

fn check_name(config: &Config) -> Result<(), Broken> {
    // It goes into URLs, tokens and runtime keys.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=63).contains(&config.name.len()) && config.name.bytes().all(fits) {
        return Ok(());
    }
    broken("name", format!("found {:?}, expected 1 to 63 letters, digits, `-`, `_` or `.`", config.name))
}

/// A lone word that isn't a level would be read as the only module to log, and the log would stay empty.
fn check_level(level: &str) -> Result<(), Broken> {
    let words = level.split(',').map(str::trim);
    let unknown =
        words.filter(|word| !word.contains('=')).find(|word| word.parse::<tracing::level_filters::LevelFilter>().is_err());
    let message = match (unknown, tracing_subscriber::EnvFilter::builder().parse(level)) {
        (None, Ok(_)) => return Ok(()),
        (Some(word), _) => format!("found {word:?}"),
        (None, Err(error)) => format!("found {level:?} ({error})"),
    };
    broken("log.level", format!("{message}, expected off, error, warn, info, debug, trace or directives such as info,module=debug"))
}

fn check_limits(config: &Config) -> Result<(), Broken> {
    let (limits, plugins, timeouts) = (&config.http.limits, &config.plugins, &config.http.timeouts);
    let at_least = [
        ("admin.connections", config.admin.connections as u64, 1),
        ("http.limits.connections", limits.connections as u64, 1),
        ("http.limits.head_bytes", limits.head_bytes as u64, SMALLEST_HEAD as u64),
        ("http.limits.headers", limits.headers as u64, 16),
        ("http.limits.target_bytes", limits.target_bytes as u64, 256),
        ("http.timeouts.request_head_ms", timeouts.request_head_ms, 1),
        ("http.timeouts.upstream_connect_ms", timeouts.upstream_connect_ms, 1),
        ("http.timeouts.response_head_ms", timeouts.response_head_ms, 1),
        ("http.timeouts.body_idle_ms", timeouts.body_idle_ms, 1),
        ("http.timeouts.upgrade_idle_ms", timeouts.upgrade_idle_ms, 1),
        ("http.http2.streams", config.http.http2.streams.into(), 1),
        ("http.http2.send_buffer_bytes", config.http.http2.send_buffer_bytes as u64, 1_024),
        ("http.http2.pending_resets", config.http.http2.pending_resets as u64, 1),
        ("http.http2.malformed", config.http.http2.malformed as u64, 1),
        ("http.http2.ping_ms", config.http.http2.ping_ms, 1),
        ("http.http2.ping_timeout_ms", config.http.http2.ping_timeout_ms, 1),
        ("http.http2.upstream_connections", config.http.http2.upstream_connections as u64, 1),
        ("http.http2.upstream_streams", config.http.http2.upstream_streams as u64, 1),
        ("http.http2.connection_age_s", config.http.http2.connection_age_s, 1),
        ("tls.handshake_ms", config.tls.handshake_ms, 1),
        ("tls.poll_s", config.tls.poll_s, 1),
        ("plugins.poll_s", plugins.poll_s, 1),
        ("plugins.call_budget_ms", plugins.call_budget_ms, 1),
        ("plugins.memory_mib", plugins.memory_mib as u64, 1),
        ("plugins.component_mib", plugins.component_mib as u64, 1),
        ("plugins.compile_timeout_s", plugins.compile_timeout_s, 1),
        ("plugins.compile_memory_mib", plugins.compile_memory_mib, 64),
        ("plugins.pull_timeout_s", plugins.pull_timeout_s, 1),
        ("tcp.timeouts.handshake_ms", config.tcp.timeouts.handshake_ms, 1),
        ("tcp.timeouts.idle_ms", config.tcp.timeouts.idle_ms, 1),
        ("tcp.limits.connections", config.tcp.limits.connections as u64, 1),
        ("tcp.limits.connections_per_session", config.tcp.limits.connections_per_session as u64, 1),
        ("tcp.limits.connections_per_client", config.tcp.limits.connections_per_client as u64, 1),
        ("live.recheck_s", config.live.recheck_s, 1),
        ("login.session_hours", config.login.session_hours, 1),
        ("login.attempts_per_minute", config.login.attempts_per_minute.into(), 1),
        ("login.attempts_per_minute_in_all", config.login.attempts_per_minute_in_all.into(), 1),
    ];
    let http2 = &config.http.http2;
    // The protocol's own smallest and largest windows (RFC 9113, section 6.9.1).
    for (key, found) in [
        ("http.http2.stream_window_bytes", http2.stream_window_bytes),
        ("http.http2.connection_window_bytes", http2.connection_window_bytes),
        ("http.http2.upstream_window_bytes", http2.upstream_window_bytes),
    ] {
        if !(SMALLEST_WINDOW..=LARGEST_WINDOW).contains(&found) {
            return broken(key, format!("found {found}, expected {SMALLEST_WINDOW} to {LARGEST_WINDOW}"));
        }
    }
    match at_least.into_iter().find(|(_, found, least)| found < least) {
        Some((key, found, least)) => broken(key, format!("found {found}, expected at least {least}")),
        None => Ok(()),
    }
}

fn check_login(config: &Config) -> Result<(), Broken> {
    let login = &config.login;
    if !is_cookie_name(&login.cookie) {
        return broken(
            "login.cookie",
            format!("found {:?}, expected a cookie's name: letters, digits, `-`, `_` or `.`", login.cookie),
        );
    }
    // Browsers take these names only with conditions that a base domain or plain HTTP breaks (RFC 6265bis, section 4.1.3).
    if login.cookie.to_ascii_lowercase().starts_with("__") {
        return broken("login.cookie", format!("found {:?}, expected a name without browsers' special prefixes", login.cookie));
    }
    if let Some(host) = login.hosts.iter().find(|host| !is_host(host)) {
        return broken("login.hosts", format!("found {host:?}, expected a host's name without scheme, port or path"));
    }
    if let Some(name) = login.accept_cookies.iter().find(|name| !is_cookie_name(name.strip_suffix('*').unwrap_or(name))) {
        return broken(
            "login.accept_cookies",
            format!("found {name:?}, expected cookies' names, or beginnings of them with `*` behind"),
        );
    }
    if login.session_hours > LONGEST_SESSION_HOURS {
        return broken("login.session_hours", format!("found {}, expected at most {LONGEST_SESSION_HOURS}", login.session_hours));
    }
    if login.same_site == SameSite::None && !login.secure.unwrap_or(config.is_https()) {
        return broken(
            "login.same_site",
            "found none, which browsers take only with login.secure: expected a public_url with https".into(),
        );
    }
    // 32 bytes of a base64 text carry 24 random ones; shorter keys of HS256 can be guessed offline (RFC 7518, section 3.2).
    if login.secret.as_ref().is_some_and(|secret| secret.reveal().len() < 32) {
        return broken("login.secret", "found a shorter one, expected at least 32 characters, best from a random generator".into());
    }
    let mut ids = BTreeSet::new();
    for user in &login.users {
        if !(1..=256).contains(&user.id.len()) || !user.id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return broken("login.users", format!("found the id {:?}, expected 1 to 256 visible ASCII characters", user.id));
        }
        if !ids.insert(&user.id) {
            return broken("login.users", format!("found the id {:?} twice, expected each once", user.id));
        }
    }
    Ok(())
}

fn is_host(text: &str) -> bool {
    url::Host::parse(text).is_ok() && !text.contains(':')
}

fn is_cookie_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn broken<T>(key: &'static str, message: String) -> Result<T, Broken> {
    Err(Broken { key, message })
}
