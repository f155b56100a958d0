//! Where plugins are taken apart without a gateway: an engine, a compiler and limits as a gateway's own, but nobody's traffic, keys
//! or server. Key sets are stand-ins: what they say of a token is what a case or record has written down.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::{
    admission::{self, Artifacts, DirectoryError, Files, Keys, Loaded, Loader, MANIFEST, Manifest, RefusedSet},
    cli::output::{Stop, progress},
    config::{self, Environment, SecretEncoding},
    domain::{Timestamp, decision::Kind},
    plugin::{
        Compiled, Compiler, DecisionContext, Engine, Facts, Generation, Grants, KnownHosts, LoadError, OnFault, Plugin, PluginSet,
        PluginSpec, Recorder, Survey, Worker,
        key_set::{KeySet, KeySets},
    },
};

/// Before the name of a default plugin, in place of a file.
const BUILTIN: &str = "builtin:";
/// A plugin may declare so many verifications, and each may name another key set.
const MOST_KEY_SETS: usize = 8;
/// What a component that imports `jwt` is granted before it has named its key sets.
const NO_KEY_SET: &str = "";

/// Which plugin, and with what.
#[derive(Args, Clone, Debug)]
pub struct Subject {
    /// A component (.wasm or .wasm.zst), or `builtin:` and the name of a default plugin.
    #[arg(value_name = "FILE")]
    pub file: String,
    #[command(flatten)]
    pub with: With,
}

/// What a plugin runs with.
#[derive(Args, Clone, Debug, Default)]
pub struct With {
    /// The plugin's kind, where a component is of several.
    #[arg(long)]
    pub kind: Option<KindWord>,
    /// Its configuration: JSON, or a file of JSON or YAML.
    #[arg(long, value_name = "JSON|FILE")]
    pub config: Option<String>,
    /// The budget of a call [default: the gateway's, 5].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub call_budget_ms: Option<u64>,
    /// The memory that it may have [default: the gateway's, 16].
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=4095))]
    pub memory_mib: Option<u64>,
    /// A gateway's configuration, for its limits, registries and authorities.
    #[arg(long, value_name = "FILE")]
    pub gateway_config: Option<PathBuf>,
}

/// A kind of plugin on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KindWord {
    DiscoveryFilter,
    Authenticator,
    RoutingPolicy,
}

/// The engine and what belongs to it.
pub struct Workshop {
    runtime: tokio::runtime::Runtime,
    limits: config::Plugins,
    authorities: Vec<CertificateDer<'static>>,
    pub engine: Arc<Engine>,
    compiler: Compiler,
    context: Arc<DecisionContext>,
}

/// A component that was compiled.
pub struct Blank {
    pub name: String,
    pub component: Vec<u8>,
    pub compiled: Compiled,
    pub compiling: Duration,
    pub survey: Survey,
}

// === impl Workshop ===

impl Workshop {
    pub fn open(with: &With) -> Result<Self, Stop> {
        let (mut limits, authorities) = match &with.gateway_config {
            Some(file) => {
                let loaded = config::load(Some(file), &Environment::of_process()).map_err(Stop::usage)?;
                (loaded.config.plugins.clone(), loaded.config.tls.extra_authorities().map_err(Stop::usage)?)
            }
            None => Default::default(),
        };
        limits.call_budget_ms = with.call_budget_ms.unwrap_or(limits.call_budget_ms);
        limits.memory_mib = with.memory_mib.and_then(|mib| usize::try_from(mib).ok()).unwrap_or(limits.memory_mib);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::failed)?;
        let engine = Arc::new(Engine::new(&limits, 1).map_err(Stop::failed)?);
        let program = std::env::current_exe().map_err(|error| Stop::failed(format!("this program: {error}")))?;
        let context = DecisionContext {
            facts: Facts::new(None, runtime.handle().clone()),
            // Which hosts a gateway knows isn't known here: every one is.
            hosts: KnownHosts { names: Default::default(), suffix: Some(String::new()) },
            cache: limits.cache.clone(),
            recorder: Recorder::new(&limits.records).map_err(Stop::failed)?,
        };
        let compiler = Compiler::at_once(program, &limits);
        Ok(Self { runtime, engine, compiler, context: Arc::new(context), limits, authorities })
    }

    pub fn limits(&self) -> &config::Plugins {
        &self.limits
    }

    /// A thread's side of plugins, whose calls count nowhere.
    pub fn worker(&self) -> Worker {
        Worker::for_replay(Arc::clone(&self.engine))
    }

    /// The same, with an instance of its own for each call.
    pub fn fresh_worker(&self) -> Worker {
        Worker::for_replay_on_fresh_instances(Arc::clone(&self.engine))
    }

    /// A component's bytes, unpacked.
    pub fn read(&self, file: &str) -> Result<Vec<u8>, Stop> {
        if let Some(name) = file.strip_prefix(BUILTIN) {
            let found = admission::builtin(name).map(<[u8]>::to_vec);
            return found.ok_or_else(|| Stop::usage(format!("{file}: found '{name}', expected {}", admission::builtin_names())));
        }
        if Path::new(file).is_dir() {
            let why = "found a directory, expected a component in it (.wasm); check, test and pack take directories";
            return Err(Stop::usage(format!("{file}: {why}")));
        }
        let bytes = std::fs::read(file).map_err(|error| Stop::usage(format!("{file}: {error}")))?;
        if !file.ends_with(".zst") {
            return Ok(bytes);
        }
        admission::unpack(&bytes, self.limits.component_mib << 20).map_err(|why| Stop::usage(format!("{file}: {why}")))
    }

    /// Compiles a component as the gateway does, in a limited child.
    ///
    /// # Errors
    /// It's too large, no component, or can't be compiled.
    pub fn compile(&self, file: &str, component: Vec<u8>) -> Result<Blank, LoadError> {
        Plugin::check_bytes(&self.engine, &component)?;
        let shown = progress("compiling", 0);
        let began = Instant::now();
        let compiled = self.runtime.block_on(self.compiler.compile(&component))?;
        let compiling = began.elapsed();
        shown.finish_and_clear();
        let survey = Survey::of(&self.engine, &compiled)?;
        Ok(Blank { name: name_of(file), component, compiled, compiling, survey })
    }

    /// Links and configures it with everything granted that it asks for.
    ///
    /// # Errors
    /// As at admission.
    pub fn configure(&self, blank: &Blank, kind: Kind, config: &Value) -> Result<Plugin, LoadError> {
        let mut names = vec![NO_KEY_SET.to_owned()];
        loop {
            let spec = PluginSpec {
                name: blank.name.clone(),
                kind,
                config: config.to_string(),
                grants: Grants { log: true, key_sets: names.clone(), may_read_session: true },
                call_budget_ms: self.limits.call_budget_ms,
                memory_bytes: self.limits.memory_mib << 20,
                on_fault: OnFault::Closed,
            };
            match Plugin::link(&self.engine, &blank.compiled, &blank.component, spec, &stand_ins(&names)) {
                Err(LoadError::KeySet { name, .. }) if !names.contains(&name) && names.len() <= MOST_KEY_SETS => names.push(name),
                done => return done,
            }
        }
    }

    /// All of the above.
    pub fn load(&self, subject: &Subject) -> Result<(Blank, Arc<Plugin>), Stop> {
        let config = subject.with.config()?;
        let in_words = |error: LoadError| Stop::failed(format!("{}: {error}", subject.file));
        let blank = self.compile(&subject.file, self.read(&subject.file)?).map_err(in_words)?;
        let kind = blank.kind(subject.with.kind).map_err(|why| Stop::failed(format!("{}: {why}", subject.file)))?;
        let plugin = self.configure(&blank, kind, &config).map_err(|error| match error {
            LoadError::Configure(_) if subject.with.config.is_none() => {
                Stop::failed(format!("{}: {error} (--config gives it a configuration)", subject.file))
            }
            error => in_words(error),
        })?;
        Ok((blank, Arc::new(plugin)))
    }

    /// A loaded plugin with another configuration.
    ///
    /// # Errors
    /// As at admission.
    pub fn reconfigure(&self, plugin: &Plugin, config: &Value) -> Result<Plugin, LoadError> {
        let spec = PluginSpec { config: config.to_string(), ..plugin.spec.clone() };
        plugin.with_spec(&self.engine, spec, &stand_ins(&plugin.spec.grants.key_sets))
    }

    /// A chain of one plugin alone.
    pub fn alone(&self, plugin: &Arc<Plugin>) -> PluginSet {
        PluginSet::new(Generation(0), plugin.sha256.clone(), vec![Arc::clone(plugin)], Arc::clone(&self.context))
    }

    /// A whole directory, as the gateway would take it.
    ///
    /// # Errors
    /// Why the gateway wouldn't.
    pub fn load_directory(&self, files: &Files) -> Result<Loaded, Stop> {
        let manifest = Manifest::parse(&files.manifest).map_err(Stop::failed)?;
        let named: Vec<String> = manifest.entries.iter().flat_map(|entry| entry.grants.key_sets.clone()).collect();
        let program = std::env::current_exe().map_err(Stop::failed)?;
        let loader = Loader {
            engine: Arc::clone(&self.engine),
            compiler: Compiler::at_once(program.clone(), &self.limits),
            artifacts: Artifacts::new(program, &self.limits, &self.authorities, None),
            // Which keys a gateway trusts is written in its own configuration.
            signatures: Keys::default(),
            key_sets: Arc::new(stand_ins(&named)),
            context: Arc::clone(&self.context),
            limits: self.limits.clone(),
            next_generation: AtomicU64::new(1),
            last: Default::default(),
        };
        let shown = progress("compiling", 0);
        let loaded = self.runtime.block_on(loader.load_files(files)).map_err(|error| match error {
            RefusedSet::Missing { .. } => {
                Stop::failed(format!("{error} (`wicketgate plugin build` makes the component of a project)"))
            }
            error => Stop::failed(error),
        });
        shown.finish_and_clear();
        loaded
    }
}

/// A plugin directory's files.
pub fn read_directory(directory: &Path) -> Result<Files, Stop> {
    Files::read(directory).map_err(|error| match error {
        DirectoryError::Unreadable(..) => Stop::usage(error),
        error => Stop::failed(error),
    })
}

/// Key sets of these names, with a key that nobody has.
fn stand_ins(names: &[String]) -> KeySets {
    let mut key_sets = KeySets::default();
    let of = |name: &String| KeySet::secret(name, &format!("stand-in {}", Timestamp::now().0), SecretEncoding::Raw).ok();
    names.iter().filter(|name| *name != NO_KEY_SET).filter_map(of).for_each(|set| key_sets.insert(set));
    key_sets
}

/// A file's name without directory and endings: what a plugin is called that nobody named.
fn name_of(file: &str) -> String {
    let path = PathBuf::from(file.strip_prefix(BUILTIN).unwrap_or(file));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or(file);
    name.trim_end_matches(".zst").trim_end_matches(".wasm").to_owned()
}

// === impl Blank ===

impl Blank {
    /// What the component is, or which of the kinds it is was asked for.
    ///
    /// # Errors
    /// A sentence.
    pub fn kind(&self, asked: Option<KindWord>) -> Result<Kind, String> {
        let kinds: Vec<Kind> = self.survey.kinds().iter().map(|(kind, _)| *kind).collect();
        match (asked.map(Kind::from), kinds.as_slice()) {
            (Some(kind), _) => Ok(kind),
            (None, [kind]) => Ok(*kind),
            (None, []) => {
                let exports = if self.survey.exports.is_empty() { "nothing".to_owned() } else { self.survey.exports.join(", ") };
                Err(format!("exports {exports}, expected discovery, authentication or routing of wicketgate:plugin"))
            }
            (None, _) => Err("is of several kinds: expected --kind to say as which it's meant".into()),
        }
    }
}

// === impl With ===

impl With {
    /// What a directory's manifest says for each plugin can't be given for all.
    ///
    /// # Errors
    /// It was given.
    pub fn belongs_to_a_component(&self, with_cases: bool) -> Result<(), Stop> {
        let given = [(self.config.is_some(), "--config"), (self.kind.is_some(), "--kind"), (with_cases, "--cases")];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, name)) => {
                Err(Stop::usage(format!("{name}: found with a directory, whose {MANIFEST} says this for each plugin")))
            }
            None => Ok(()),
        }
    }

    /// The plugin's configuration; an empty one where none was given.
    pub fn config(&self) -> Result<Value, Stop> {
        let Some(given) = &self.config else { return Ok(Value::Object(serde_json::Map::new())) };
        let (place, text) = if given.trim_start().starts_with(['{', '[', '"']) {
            ("--config".to_owned(), given.clone())
        } else {
            let text = std::fs::read_to_string(Path::new(given));
            (given.clone(), text.map_err(|error| Stop::usage(format!("--config: {given}: {error}")))?)
        };
        let value: Value = serde_saphyr::from_str(&text).map_err(|error| {
            let error = error.to_string();
            Stop::usage(format!("{place}: neither JSON nor YAML: {}", error.lines().next().unwrap_or_default()))
        })?;
        Ok(if value.is_null() { Value::Object(serde_json::Map::new()) } else { value })
    }
}

// === impl KindWord ===

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Self {
        match word {
            KindWord::DiscoveryFilter => Self::DiscoveryFilter,
            KindWord::Authenticator => Self::Authenticator,
            KindWord::RoutingPolicy => Self::RoutingPolicy,
        }
    }
}

impl KindWord {
    pub fn of(kind: Kind) -> &'static str {
        match kind {
            Kind::DiscoveryFilter => "discovery-filter",
            Kind::Authenticator => "authenticator",
            Kind::RoutingPolicy => "routing-policy",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(config: &str) -> Result<Value, Stop> {
        With { config: Some(config.into()), ..With::default() }.config()
    }

    #[test]
    fn a_configuration_stands_on_the_command_line_or_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, "allow: [owner]\n").unwrap();
        assert_eq!(with(file.to_str().unwrap()), Ok(json!({"allow": ["owner"]})));
        std::fs::write(&file, "# nothing\n").unwrap();
        assert_eq!(with(file.to_str().unwrap()), Ok(json!({})));
        assert_eq!(with(r#"{"allow": []}"#), Ok(json!({"allow": []})));
        assert_eq!(With::default().config(), Ok(json!({})));
        for (bad, part) in [("{", "--config: neither JSON nor YAML"), ("nowhere.yaml", "--config: nowhere.yaml: ")] {
            let Err(Stop::Usage(why)) = with(bad) else { panic!("{bad}") };
            assert!(why.starts_with(part) && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn a_plugin_that_nobody_named_is_called_by_its_file() {
        for (file, name) in [("a/b/our-policy.wasm", "our-policy"), ("x.wasm.zst", "x"), ("builtin:cookie-auth", "cookie-auth")] {
            assert_eq!(name_of(file), name);
        }
    }
}
