//! `plugin replay`: decisions that a gateway recorded, run through another plugin or another set, and what comes out otherwise.

mod differences;

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::Args;
use serde_json::Value;

use self::differences::{Found, Report};
use super::workshop::{Subject, With, Workshop, read_directory};
use crate::{
    admission::MANIFEST,
    cli::output::{self, Paint, Stop, Verdict, progress},
    domain::record::Record,
    plugin::{NotRecorded, PluginSet, Worker},
};

/// The member that stands for the plugin which is tried in a directory.
const TRIED: &str = "tried-in-replay.wasm";

#[derive(Args, Debug)]
pub(in crate::cli) struct Replay {
    /// Records as the gateway exports them, one JSON a line; `-` is standard input.
    #[arg(value_name = "RECORDS")]
    records: PathBuf,
    /// The plugin to try: a component, or `builtin:` and the name of a default plugin. Alone, it's the whole chain of its kind.
    #[arg(long, value_name = "FILE", required_unless_present = "manifest")]
    plugin: Option<String>,
    /// With --manifest, the plugin of the directory in whose place --plugin is tried. Without, only records of decisions are run
    /// in which a plugin of this name was asked.
    #[arg(long, requires = "plugin")]
    name: Option<String>,
    /// A plugin directory, tried whole.
    #[arg(long, value_name = "DIR")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    with: With,
    /// So many differences are no failure.
    #[arg(long, value_name = "N", default_value_t = 0)]
    most_differences: usize,
    /// Fewer than this could be run again: a failure, because the rest says nothing.
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(0..=100))]
    least_replayed_percent: u8,
    /// So many differences are shown.
    #[arg(long, value_name = "N", default_value_t = 50)]
    show: usize,
    /// For programs.
    #[arg(long)]
    json: bool,
}

// === impl Replay ===

impl Replay {
    pub(super) fn run(self) -> ExitCode {
        output::finish(self.replay())
    }

    fn replay(self) -> Result<Verdict, Stop> {
        let workshop = Workshop::open(&self.with)?;
        let set = self.set(&workshop)?;
        let reader: Box<dyn BufRead> = if self.records == Path::new("-") {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            let place = self.records.display();
            Box::new(BufReader::new(File::open(&self.records).map_err(|error| Stop::usage(format!("{place}: {error}")))?))
        };
        let worker = workshop.worker();
        let mut report = Report::new(self.show);
        let shown = progress("replaying", 0);
        for (number, line) in reader.split(b'\n').enumerate() {
            let line = line.map_err(|error| Stop::usage(format!("{}: {error}", self.records.display())))?;
            if !line.trim_ascii().is_empty() {
                report.add(self.try_line(&set, &worker, number + 1, &line));
                shown.inc(1);
            }
        }
        shown.finish_and_clear();
        let verdict = report.judge(self.most_differences, self.least_replayed_percent);
        if self.json {
            output::say_json(&report.to_json(&verdict))?;
        } else {
            output::say(&report.in_words(&verdict, Paint::of_stdout()))?;
        }
        Ok(if verdict.is_empty() { Verdict::Good } else { Verdict::Bad })
    }

    fn try_line(&self, set: &PluginSet, worker: &Worker, number: usize, line: &[u8]) -> Found {
        let record: Record = match serde_json::from_slice(line) {
            Ok(record) => record,
            Err(error) => return Found::Unreadable(format!("line {number}: {error}")),
        };
        if !set.plugins().any(|plugin| plugin.spec.kind == record.inputs.kind) {
            return Found::OtherKind;
        }
        let asked = |name: &String| record.asked.iter().any(|asked| asked.rsplit_once('@').is_some_and(|(known, _)| known == name));
        if self.manifest.is_none() && self.name.as_ref().is_some_and(|name| !asked(name)) {
            return Found::NotAsked;
        }
        match set.replay(worker, &record.inputs) {
            Ok(after) if record.outcome.has_effect_of(&after) => Found::Same,
            Ok(after) => Found::Difference(Box::new((record, after))),
            Err(NotRecorded(what)) => Found::NotRecorded(what),
        }
    }

    fn set(&self, workshop: &Workshop) -> Result<Arc<PluginSet>, Stop> {
        let Some(directory) = &self.manifest else {
            let subject = Subject { file: self.plugin.clone().unwrap_or_default(), with: self.with.clone() };
            let (_, plugin) = workshop.load(&subject)?;
            return Ok(Arc::new(workshop.alone(&plugin)));
        };
        let mut files = read_directory(directory)?;
        if let Some(file) = &self.plugin {
            let Some(name) = &self.name else {
                return Err(Stop::usage("--manifest with --plugin: expected --name, the plugin in whose place it's tried"));
            };
            files.manifest = exchange(&files.manifest, name, self.with.config.is_some().then(|| self.with.config()).transpose()?)?;
            files.members.insert(TRIED.to_owned(), workshop.read(file)?);
        } else if self.with.config.is_some() {
            return Err(Stop::usage(format!("--config: found with a directory, whose {MANIFEST} says this for each plugin")));
        }
        Ok(workshop.load_directory(&files)?.set)
    }
}

/// The manifest with another component in the place of one, and another configuration if there is one.
fn exchange(manifest: &str, name: &str, config: Option<Value>) -> Result<String, Stop> {
    let mut written: Value = serde_saphyr::from_str(manifest).map_err(|_| Stop::failed(format!("{MANIFEST}: not YAML")))?;
    let entries = written.get_mut("plugins").and_then(Value::as_array_mut).into_iter().flatten();
    let mut entries = entries.filter_map(Value::as_object_mut);
    let Some(entry) = entries.find(|entry| entry.get("name").is_some_and(|known| known == name)) else {
        return Err(Stop::usage(format!("--name: found '{name}', expected the name of a plugin in {MANIFEST}")));
    };
    for key in ["file", "oci", "builtin", "sha256", "cases"] {
        entry.remove(key);
    }
    entry.insert("file".into(), TRIED.into());
    if let Some(config) = config {
        entry.insert("config".into(), config);
    }
    // JSON is YAML.
    Ok(written.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{Component, Manifest};

    #[test]
    fn a_plugin_is_tried_in_the_place_of_another() {
        let manifest = "version: 1\nplugins:\n\
            - {name: f, kind: discovery-filter, builtin: discovery-filter}\n\
            - {name: a, kind: authenticator, file: a.wasm, sha256: {digest}, grants: {key_sets: [k]}, config: {old: 1}}\n\
            - {name: p, kind: routing-policy, builtin: routing-policy}\n"
            .replace("{digest}", &"ab".repeat(32));
        let parsed = |config| Manifest::parse(&exchange(&manifest, "a", config).unwrap()).unwrap();
        let entry = &parsed(None).entries[1];
        assert_eq!((&entry.component, &entry.sha256), (&Component::File(TRIED.into()), &None));
        assert_eq!((entry.grants.key_sets.as_slice(), entry.config["old"].as_u64()), (&["k".to_owned()][..], Some(1)));
        let other = serde_json::json!({"new": 2});
        assert_eq!(parsed(Some(other.clone())).entries[1].config, other);
        let Err(Stop::Usage(why)) = exchange(&manifest, "b", None) else { panic!("there's no b") };
        assert_eq!(why, "--name: found 'b', expected the name of a plugin in plugins.yaml");
    }
}
