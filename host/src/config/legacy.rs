//! The commercial gateway's environment variables, old and new names, read as the keys of this configuration that mean the
//! same, so that a deployment moves by changing its image. Our own variables win over these, and these over the file.

use serde_json::Value;

use super::environment::{Environment, Setting};

/// One of its names. Where two mean the same key, the newer one stands later and wins.
pub(super) struct Legacy {
    pub variable: &'static str,
    /// With dots between.
    pub key: &'static str,
    reading: Reading,
}

#[derive(Clone, Copy)]
enum Reading {
    Text,
    Boolean,
    Number,
    /// Names with commas or spaces between; empty or `none` is all.
    Queues,
    /// A level by Python's names.
    Level,
    /// The port alone, under the address of `http.listen`.
    Port,
    /// A list of one.
    One,
    /// A host, of which charts make a URL.
    Host,
}

const fn legacy(variable: &'static str, key: &'static str, reading: Reading) -> Legacy {
    Legacy { variable, key, reading }
}

pub(super) const NAMES: [Legacy; 22] = [
    legacy("ROUTER_NAME", "name", Reading::Text),
    legacy("ROUTER_URL", "public_url", Reading::Text),
    legacy("LOGGER_LEVEL", "log.level", Reading::Level),
    legacy("CLEARML_API_HOST", "clearml.api_url", Reading::Text),
    legacy("CLEARML_API_ACCESS_KEY", "clearml.access_key", Reading::Text),
    legacy("CLEARML_API_SECRET_KEY", "clearml.secret_key", Reading::Text),
    legacy("LISTEN_QUEUE_NAME", "clearml.queues", Reading::Queues),
    legacy("SSL_VERIFY", "clearml.ssl_verify", Reading::Boolean),
    legacy("AUTH_BASE64_JWKS_KEY", "clearml.token_secret", Reading::Text),
    legacy("AUTH_COOKIE_NAME", "login.accept_cookies", Reading::One),
    legacy("AUTH_SECURE_ENABLED", "login.secure", Reading::Boolean),
    legacy("ROUTER__HTTP__AUTHORIZATION__COOKIE__SECURE", "login.secure", Reading::Boolean),
    legacy("ROUTER__WEBSERVER__SERVER_PORT", "http.listen", Reading::Port),
    legacy("TCP_ROUTER_ADDRESS", "tcp.address", Reading::Host),
    legacy("STREAM_ROUTER_ADDRESS", "tcp.address", Reading::Host),
    legacy("ROUTER__STREAM__EXTERNAL_URL", "tcp.address", Reading::Host),
    legacy("TCP_PORT_START", "tcp.ports.start", Reading::Number),
    legacy("STREAM_PORT_START", "tcp.ports.start", Reading::Number),
    legacy("ROUTER__STREAM__PORT_RANGE__START", "tcp.ports.start", Reading::Number),
    legacy("TCP_PORT_END", "tcp.ports.end", Reading::Number),
    legacy("STREAM_PORT_END", "tcp.ports.end", Reading::Number),
    legacy("ROUTER__STREAM__PORT_RANGE__END", "tcp.ports.end", Reading::Number),
];

/// The legacy variables that are set, as settings, over what the file says.
pub(super) fn settings(environment: &Environment, file: &Value, notices: &mut Vec<String>) -> Vec<Setting> {
    // Alone, a key of this section would ask for the address of a server that nobody spoke of.
    let has_server = environment.variable("CLEARML_API_HOST").is_some_and(|text| !text.trim().is_empty())
        || environment.variable("WICKETGATE_CLEARML__API_URL").is_some()
        || file.get("clearml").is_some_and(|section| !section.is_null());
    if environment.variable("AUTH_ENABLED").is_some_and(|text| boolean(text) != Value::Bool(true)) {
        notices.push(
            "environment variable AUTH_ENABLED: found something other than true; it has no effect, because who may enter is \
             always the plugins' decision: a routing policy can make sessions public"
                .into(),
        );
    }
    let mut settings = Vec::new();
    for name in &NAMES {
        let Some(text) = environment.variable(name.variable).map(str::trim) else { continue };
        // Charts pass on what wasn't filled in.
        if text.is_empty() && !matches!(name.reading, Reading::Queues) {
            continue;
        }
        if name.key.starts_with("clearml.") && !has_server {
            notices.push(format!(
                "environment variable {} has no effect without an API server: set CLEARML_API_HOST or clearml.api_url",
                name.variable
            ));
            continue;
        }
        let path = name.key.split('.').map(str::to_owned).collect();
        settings.push(Setting::new(name.variable, path, vec![name.reading.read(text, file)]));
    }
    settings
}

// === impl Reading ===

impl Reading {
    /// A text that doesn't fit stays a text, for the parser to say what the key expects.
    fn read(self, text: &str, file: &Value) -> Value {
        match self {
            Self::Text => text.into(),
            Self::Boolean => boolean(text),
            Self::Number => text.parse::<u64>().map_or_else(|_| text.into(), Value::from),
            Self::Queues if text.eq_ignore_ascii_case("none") => Value::Array(Vec::new()),
            Self::Queues => text.split([',', ' ']).filter(|name| !name.is_empty()).map(Value::from).collect(),
            Self::Level => match text.to_ascii_lowercase().as_str() {
                "warning" => "warn".into(),
                "critical" | "fatal" => "error".into(),
                "notset" => "trace".into(),
                level => level.into(),
            },
            Self::Port => {
                let listen = file.pointer("/http/listen").and_then(Value::as_str);
                let mut listen = listen.and_then(|text| text.parse().ok()).unwrap_or(super::Http::default().listen);
                match text.parse() {
                    Ok(port) => listen.set_port(port),
                    Err(_) => return text.into(),
                }
                listen.to_string().into()
            }
            Self::One => Value::Array(vec![text.into()]),
            Self::Host => text.split_once("://").map_or(text, |(_, rest)| rest).trim_end_matches('/').into(),
        }
    }
}

fn boolean(text: &str) -> Value {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => true.into(),
        "false" | "0" | "no" | "off" => false.into(),
        _ => text.into(),
    }
}
