//! The log on standard error and the registry of metrics. Started once by the command line; every room writes to the log
//! through `tracing` and registers metrics of its own.

use std::sync::Arc;

use prometheus_client::{metrics::info::Info, registry::Registry};
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// The log can't be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("log.level: found {0:?}: {1}")]
    Level(String, tracing_subscriber::filter::ParseError),
    #[error("the log was started twice: {0}")]
    Twice(Box<dyn std::error::Error + Send + Sync>),
}

/// Starts the log for the whole process.
///
/// # Errors
/// When the level can't be read, or when there's a log already.
pub fn start_log(log: &Log) -> Result<(), LogError> {
    let filter = filter(log).map_err(|error| LogError::Level(log.level.clone(), error))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Text => subscriber.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        // One object per line; the fields of an event stand beside its time and level, where collectors look for them.
        LogFormat::Json => subscriber.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    }
    .map_err(LogError::Twice)
}

fn filter(log: &Log) -> Result<EnvFilter, tracing_subscriber::filter::ParseError> {
    // What these libraries say at each retry the gateway says once, and in a sentence.
    let quiet = if log.level.contains("kube_") || log.level == "off" { "" } else { ",kube_runtime=off,kube_client=off" };
    let access = if log.access { "" } else { ",access=off" };
    EnvFilter::builder().parse(format!("{}{quiet}{access}", log.level))
}

/// An empty registry whose metrics are named `wicketgate_…`, with the build's version in it.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("wicketgate");
    let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "Which build this is", version);
    registry
}

/// The registry as Prometheus reads it (OpenMetrics text, version 1.0.0).
pub fn encode(registry: &Arc<Registry>) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}

/// The media type of `encode`'s text.
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_an_access_log_unless_it_is_switched_off() {
        for (level, access, expected) in
            [("info", true, true), ("info", false, false), ("warn", true, false), ("warn,access=info", false, false)]
        {
            let log = Log { level: level.into(), access, ..Log::default() };
            let subscriber = tracing_subscriber::fmt().with_env_filter(filter(&log).unwrap()).with_writer(std::io::sink).finish();
            let found = tracing::subscriber::with_default(subscriber, || {
                (tracing::enabled!(target: "access", tracing::Level::INFO), tracing::enabled!(tracing::Level::ERROR))
            });
            assert_eq!(found, (expected, true), "{level}, {access}");
        }
    }

    #[test]
    fn the_registry_says_which_build_it_is() {
        let text = encode(&Arc::new(registry())).unwrap();
        assert!(text.contains(&format!("wicketgate_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
