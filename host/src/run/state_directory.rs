//! Opens `plugins.state_directory`. What is kept there makes a restart quicker and safer, and no request needs it: where it can't be
//! used the gateway runs without, and says so in the log and on `/plugins`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{config, plugin::PrivateDirectory};

/// What became of the configured directory.
pub struct StateDirectory {
    configured: Option<PathBuf>,
    pub private: Option<PrivateDirectory>,
    unusable: Option<String>,
}

// === impl StateDirectory ===

impl StateDirectory {
    pub fn open(config: &config::Plugins) -> Self {
        let configured = config.state_directory.clone();
        let (private, unusable) = match configured.as_deref().map(PrivateDirectory::within) {
            None => (None, None),
            Some(Ok(private)) => (Some(private), None),
            Some(Err(error)) => {
                tracing::error!(%error, "the state directory isn't used: nothing of plugins outlives the process");
                (None, Some(error.to_string()))
            }
        };
        Self { configured, private, unusable }
    }

    /// Null where none is configured.
    pub fn to_json(&self) -> Value {
        self.configured.as_ref().map_or(Value::Null, |path| json!({"path": path, "unusable": self.unusable}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_cant_be_used_is_told_and_stops_nothing() {
        let outside = tempfile::tempdir().unwrap();
        let within = |name: &str| {
            let config = config::Plugins { state_directory: Some(outside.path().join(name)), ..config::Plugins::default() };
            StateDirectory::open(&config)
        };
        std::fs::write(outside.path().join("file"), "").unwrap();
        let broken = within("file");
        assert!(broken.private.is_none());
        let why = broken.to_json()["unusable"].as_str().unwrap().to_owned();
        assert!(why.starts_with("plugins.state_directory: ") && why.contains("/file/plugins: "), "{why}");
        let good = within("good");
        assert!(good.private.is_some() && good.to_json()["unusable"].is_null() && good.to_json()["path"].is_string());
        assert!(StateDirectory::open(&config::Plugins::default()).to_json().is_null());
    }
}
