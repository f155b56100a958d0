//! From a file and the environment to a `Config`: YAML, variables over it, types, then the rules between keys.

use std::{fs, path::Path};

use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::{
    Config, ConfigError, Environment, Origin,
    environment::Setting,
    error::{Step, discreet_sentence, dotted, holds_secrets, line_of, sentence},
    legacy, rules,
};

/// A configuration in force, and what its operator should be told once there's a log.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub notices: Vec<String>,
}

/// Reads the file (none: only defaults and environment) under the environment.
///
/// # Errors
/// One sentence about the first thing that's wrong, with its place.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, ConfigError> {
    let Some(path) = file else { return Source { path: None, text: "" }.parse(environment) };
    let text = fs::read_to_string(path).map_err(|error| ConfigError {
        origin: Origin::File(path.to_owned(), None),
        key: String::new(),
        message: format!("the configuration can't be read: {error}"),
    })?;
    Source { path: Some(path), text: &text }.parse(environment)
}

/// A configuration from its text alone: no file, no environment.
///
/// # Errors
/// As `load`.
pub fn parse(text: &str) -> Result<Loaded, ConfigError> {
    Source { path: None, text }.parse(&Environment::default())
}

struct Source<'a> {
    path: Option<&'a Path>,
    text: &'a str,
}

/// What doesn't fit, before it's known where it came from.
struct Misfit {
    path: Vec<Step>,
    message: String,
}

// === impl Source ===

impl Source<'_> {
    fn parse(&self, environment: &Environment) -> Result<Loaded, ConfigError> {
        let mut notices = Vec::new();
        let mut value = self.yaml()?;
        fill_empty_sections(&mut value, &serde_json::to_value(Config::default()).unwrap_or_default());
        let mut settings = legacy::settings(environment, &value, &mut notices);
        settings.extend(environment.settings(&mut notices));
        for setting in &mut settings {
            setting.put(&mut value);
        }
        let config = self.typed(value, &mut settings)?;
        rules::check(&config)
            .map_err(|broken| self.error(Misfit { path: keys(broken.key), message: broken.message }, &settings))?;
        notices.extend(rules::notices(&config));
        Ok(Loaded { config, notices })
    }

    fn yaml(&self) -> Result<Value, ConfigError> {
        let bad = |line, message| ConfigError { origin: self.origin(line), key: String::new(), message };
        match serde_saphyr::from_str::<Value>(self.text) {
            Ok(Value::Null) => Ok(Value::Object(Map::new())),
            Ok(map @ Value::Object(_)) => Ok(map),
            Ok(_) => Err(bad(Some(1), "found something else, expected a map of sections (name, http, plugins, …)".into())),
            // An empty file, or one of comments only.
            Err(_) if self.text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) => {
                Ok(Value::Object(Map::new()))
            }
            Err(error) => {
                let line = error.location().and_then(|place| usize::try_from(place.line()).ok());
                Err(bad(line, format!("not YAML: {}", first_line(&error.without_snippet().to_string()))))
            }
        }
    }

    /// Each variable is read in the ways that its text allows until one fits its key.
    fn typed(&self, mut value: Value, settings: &mut [Setting]) -> Result<Config, ConfigError> {
        let mut first: Option<(String, ConfigError)> = None;
        loop {
            let misfit = match deserialize(&value) {
                Ok(config) => return Ok(config),
                Err(misfit) => misfit,
            };
            let blamed = settings.iter().rposition(|setting| set_by(&misfit.path, setting));
            let error = self.error(misfit, settings);
            let Some(setting) = blamed.and_then(|index| settings.get_mut(index)) else { return Err(error) };
            // What is said is what was wrong with the first reading.
            let error = match first.take() {
                Some((variable, error)) if variable == setting.variable => error,
                _ => error,
            };
            if !setting.put(&mut value) {
                return Err(error);
            }
            first = Some((setting.variable.clone(), error));
        }
    }

    fn error(&self, misfit: Misfit, settings: &[Setting]) -> ConfigError {
        let origin = match settings.iter().rfind(|setting| set_by(&misfit.path, setting)) {
            Some(setting) => Origin::Variable(setting.variable.clone()),
            None => self.origin(line_of(self.text, &misfit.path)),
        };
        ConfigError { origin, key: dotted(&misfit.path), message: misfit.message }
    }

    fn origin(&self, line: Option<usize>) -> Origin {
        self.path.map_or(Origin::Defaults, |path| Origin::File(path.to_owned(), line))
    }
}

/// A section whose keys are all commented out is null to YAML, and means the defaults to people.
fn fill_empty_sections(value: &mut Value, defaults: &Value) {
    let (Some(map), Some(defaults)) = (value.as_object_mut(), defaults.as_object()) else { return };
    for (key, default) in defaults.iter().filter(|(_, default)| default.is_object()) {
        match map.get_mut(key) {
            Some(section) if section.is_null() => *section = Value::Object(Map::new()),
            Some(section) => fill_empty_sections(section, default),
            None => {}
        }
    }
}

fn deserialize(value: &Value) -> Result<Config, Misfit> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let steps = error.path().iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(Step::Key(key.clone())),
            Segment::Seq { index } => Some(Step::Item(*index)),
            Segment::Enum { .. } | Segment::Unknown => None,
        });
        let path: Vec<Step> = steps.collect();
        let found = path.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Item(index) => value.get(index),
        });
        let inner = error.inner().to_string();
        let message =
            if holds_secrets(&path) { discreet_sentence(&inner) } else { sentence(&inner, found.and_then(Value::as_str)) };
        Misfit { path, message }
    })
}

/// Whether what stands at the path was put there by the variable.
fn set_by(path: &[Step], setting: &Setting) -> bool {
    let mut steps = path.iter();
    setting.path.iter().all(|key| matches!(steps.next(), Some(Step::Key(step)) if step == key))
}

fn keys(dotted: &str) -> Vec<Step> {
    dotted.split('.').map(|key| Step::Key(key.to_owned())).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
