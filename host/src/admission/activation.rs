//! How a set goes live, by its manifest's section `activation`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

/// What must hold before a set decides, and what takes it back afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Activation {
    pub mode: Mode,
    /// Recorded decisions of each kind of plugin that are run through the new set.
    pub replay: usize,
    /// With `verified` and `shadow`: so many decisions may come out otherwise.
    pub most_differences: usize,
    /// With `verified` and `shadow`: of the decisions so many must be replayable, in percent. A new plugin may read what wasn't
    /// recorded.
    #[schemars(range(max = 100))]
    pub least_replayed_percent: u8,
    /// With `shadow`: how long it's compared, in seconds.
    pub shadow_s: u64,
    /// With `shadow`: it's over sooner when so many decisions were compared by which somebody known is let in.
    pub shadow_decisions: u64,
    pub rollback: Rollback,
    /// How long a new set is watched, in seconds.
    pub watch_s: u64,
    /// Over this share of the people whom the set before lets in, in percent, faults take a set back.
    #[schemars(range(max = 100))]
    pub most_failing_percent: u8,
    /// The same for denials, with `errors+denials`.
    #[schemars(range(max = 100))]
    pub most_denied_percent: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Replayed, shown, and activated whatever differs.
    #[default]
    Immediate,
    /// Activated only when the replay is within the bounds.
    Verified,
    /// The set before goes on deciding, and what it decides is compared for a while; within the bounds it's activated then.
    Shadow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(try_from = "Word")]
#[schemars(extend("enum" = ["off", false, "errors", "errors+denials"]))]
pub enum Rollback {
    #[serde(rename = "off")]
    Off,
    /// When plugins fail for people whom the set before lets in.
    #[default]
    #[serde(rename = "errors")]
    Errors,
    /// Also when people are turned away whom the set before lets in.
    #[serde(rename = "errors+denials")]
    ErrorsAndDenials,
}

/// `off` is a boolean in YAML 1.1, and a text in JSON and YAML 1.2.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum Word {
    Switch(bool),
    Text(String),
}

// === impl Rollback ===

impl TryFrom<Word> for Rollback {
    type Error = String;

    fn try_from(word: Word) -> Result<Self, String> {
        let text = match word {
            Word::Switch(false) => return Ok(Self::Off),
            Word::Switch(true) => "on".to_owned(),
            Word::Text(text) => text,
        };
        match text.as_str() {
            "off" => Ok(Self::Off),
            "errors" => Ok(Self::Errors),
            "errors+denials" => Ok(Self::ErrorsAndDenials),
            other => Err(format!("found '{}', expected off, errors or errors+denials", other.escape_debug())),
        }
    }
}

// === impl Activation ===

impl Default for Activation {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            replay: 1000,
            most_differences: 0,
            least_replayed_percent: 90,
            shadow_s: 300,
            shadow_decisions: 1000,
            rollback: Rollback::default(),
            watch_s: 300,
            most_failing_percent: 10,
            most_denied_percent: 50,
        }
    }
}

impl Activation {
    /// The key that is out of its bounds, with what was found and expected.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        for (key, percent) in [
            ("activation.least_replayed_percent", self.least_replayed_percent),
            ("activation.most_failing_percent", self.most_failing_percent),
            ("activation.most_denied_percent", self.most_denied_percent),
        ] {
            if percent > 100 {
                return Err((key, format!("found {percent}, expected 0 to 100")));
            }
        }
        if self.mode == Mode::Shadow && (self.shadow_s == 0 || self.shadow_decisions == 0) {
            return Err(("activation.shadow_s", "found a shadow of no time or no decisions, expected at least 1 of each".into()));
        }
        Ok(())
    }

    /// Whether a new set can be taken back.
    pub fn watches(&self) -> bool {
        self.rollback != Rollback::Off && self.watch_s > 0
    }

    pub fn shadow(&self) -> Duration {
        Duration::from_secs(self.shadow_s)
    }

    pub fn watch(&self) -> Duration {
        Duration::from_secs(self.watch_s)
    }
}
