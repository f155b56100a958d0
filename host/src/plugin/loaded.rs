//! A plugin that is ready to be instantiated: compiled, linked, of a known kind, with nothing imported that wasn't granted.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use wasmtime::component::Component;

use super::{
    PluginName,
    bindings::v0_1,
    compile::{CompileError, Compiler},
    convert,
    engine::Engine,
    fault::Fault,
    host_calls::{self, Verification},
    inputs::Inputs,
    instance::Instance,
    key_set::{ClaimPath, KeySets, Requirements},
    wasi,
};
use crate::{
    background::PLUGINS,
    domain::{Timestamp, decision::Kind},
};

pub(super) const CONTRACT: &str = "wicketgate:plugin";
const VERSION: &str = "0.1.0";

/// What the manifest says of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct PluginSpec {
    pub name: String,
    pub kind: Kind,
    /// The configuration for `configure`, as JSON text.
    pub config: String,
    pub grants: Grants,
    pub call_budget_ms: u64,
    pub memory_bytes: usize,
    pub on_fault: OnFault,
}

/// Host capabilities that the manifest grants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    pub log: bool,
    /// Names of key sets.
    pub key_sets: Vec<String>,
    pub may_read_session: bool,
}

/// What a routing policy's fault means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    #[default]
    Closed,
    /// The session's owner gets in, nobody else.
    OwnerOnly,
}

/// A plugin that can be instantiated on any worker.
pub struct Plugin {
    pub name: Arc<PluginName>,
    pub spec: PluginSpec,
    /// The component's digest, in hexadecimal.
    pub sha256: String,
    pub component_bytes: usize,
    pub counts: super::Counts,
    pub(super) key: u64,
    pub(super) pre: Pre,
    runnable: Component,
    /// It was seen to keep state between calls.
    isolated: AtomicBool,
    pub(super) verifications: OnceLock<Arc<[Verification]>>,
    pub(super) declaration: OnceLock<Declaration>,
}

/// What the plugin declared when it was configured first; every instance must declare the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub inputs: Inputs,
    /// The key set's name with what a token must fulfil.
    pub verifications: Vec<(String, Requirements)>,
    pub may_read_session: bool,
}

/// Linked, by kind.
pub enum Pre {
    DiscoveryFilter(v0_1::discovery_filter::DiscoveryFilterPre<host_calls::HostState>),
    Authenticator(v0_1::authenticator::AuthenticatorPre<host_calls::HostState>),
    RoutingPolicy(v0_1::routing_policy::RoutingPolicyPre<host_calls::HostState>),
    /// Of any kind, for the threads on which plugins with WASI run.
    Wasi(Arc<wasi::Blueprint>),
}

/// Why a plugin wasn't loaded: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{found} bytes, at most {most} (plugins.component_mib)")]
    TooLarge { found: usize, most: usize },
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    #[error("compilation: {0}")]
    Compile(#[from] CompileError),
    #[error("exports {found}, expected {expected} of {CONTRACT}@{VERSION} (a {kind:?})")]
    WrongKind { found: String, expected: &'static str, kind: Kind },
    #[error("speaks version {found} of the contract, this gateway speaks {VERSION}")]
    WrongVersion { found: String },
    #[error("imports {import}, which {why}")]
    Ungranted { import: String, why: &'static str },
    #[error("declares {0}")]
    Declaration(String),
    #[error("declares a verification by key set '{name}', {why} (key_sets: {known:?})")]
    KeySet { name: String, why: &'static str, known: Vec<String> },
    #[error("configure: {0}")]
    Configure(String),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("linking: {0}")]
    Link(String),
}

/// The interface that a plugin of a kind exports.
pub(super) fn interface(kind: Kind) -> &'static str {
    match kind {
        Kind::DiscoveryFilter => "discovery",
        Kind::Authenticator => "authentication",
        Kind::RoutingPolicy => "routing",
    }
}

/// The same with the contract's name and version, as a component exports it.
pub(super) fn interface_name(kind: Kind) -> String {
    format!("{CONTRACT}/{}@{VERSION}", interface(kind))
}

// === impl Plugin ===

impl Plugin {
    /// The same component, configured and bounded the same way.
    pub fn decides_like(&self, other: &Self) -> bool {
        (&self.sha256, &self.spec) == (&other.sha256, &other.spec)
    }

    /// Compiles, links and configures a component once, off the request path.
    ///
    /// # Errors
    /// Says in one sentence what is wrong with the component, its configuration or its grants.
    pub async fn load(
        engine: &Arc<Engine>,
        compiler: &Compiler,
        component: &[u8],
        spec: PluginSpec,
        key_sets: &Arc<KeySets>,
    ) -> Result<Self, LoadError> {
        Self::check_bytes(engine, component)?;
        let compiled = compiler.compile(component).await?;
        let (engine, key_sets, component) = (Arc::clone(engine), Arc::clone(key_sets), component.to_vec());
        in_background(move || Self::link(&engine, &compiled, &component, spec, &key_sets)).await
    }

    /// The part before compilation: a component's size and its first bytes.
    ///
    /// # Errors
    /// It's too large, or no component.
    pub fn check_bytes(engine: &Engine, component: &[u8]) -> Result<(), LoadError> {
        let most = engine.limits.component_mib << 20;
        if component.len() > most {
            return Err(LoadError::TooLarge { found: component.len(), most });
        }
        check_format(component)
    }

    /// The part after compilation.
    pub fn link(
        engine: &Engine,
        compiled: &super::compile::Compiled,
        component: &[u8],
        spec: PluginSpec,
        key_sets: &KeySets,
    ) -> Result<Self, LoadError> {
        let runnable = engine.runnable(compiled).map_err(LoadError::Link)?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, component);
        let sha256: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Self::of(engine, runnable, sha256, component.len(), spec, key_sets)
    }

    /// The same component with another entry of the manifest: it's configured anew, and needn't be compiled.
    ///
    /// # Errors
    /// As for `load`.
    pub fn with_spec(&self, engine: &Engine, spec: PluginSpec, key_sets: &KeySets) -> Result<Self, LoadError> {
        Self::of(engine, self.runnable.clone(), self.sha256.clone(), self.component_bytes, spec, key_sets)
    }

    /// The same, while this thread does other things.
    ///
    /// # Errors
    /// As for `load`.
    pub async fn respecified(&self, engine: &Arc<Engine>, spec: PluginSpec, key_sets: &Arc<KeySets>) -> Result<Self, LoadError> {
        let (engine, key_sets) = (Arc::clone(engine), Arc::clone(key_sets));
        let (runnable, sha256, bytes) = (self.runnable.clone(), self.sha256.clone(), self.component_bytes);
        in_background(move || Self::of(&engine, runnable, sha256, bytes, spec, &key_sets)).await
    }

    fn of(
        engine: &Engine,
        runnable: Component,
        sha256: String,
        component_bytes: usize,
        spec: PluginSpec,
        key_sets: &KeySets,
    ) -> Result<Self, LoadError> {
        check_exports(engine, &runnable, spec.kind)?;
        let with_wasi = check_imports(engine, &runnable, &spec.grants)?;
        let name = Arc::new(PluginName { name: spec.name.clone(), digest: sha256[..12].to_owned() });
        let key = engine.fresh_key();
        let pre = if with_wasi.is_empty() {
            Pre::link(engine, &runnable, spec.kind)
        } else {
            Pre::link_with_wasi(engine, &runnable, &spec, &name, key, with_wasi)
        };
        let plugin = Self {
            name,
            pre: pre.map_err(LoadError::Link)?,
            runnable,
            isolated: AtomicBool::new(false),
            spec,
            sha256,
            component_bytes,
            counts: super::Counts::default(),
            key,
            verifications: OnceLock::new(),
            declaration: OnceLock::new(),
        };
        plugin.configure_first(engine, key_sets)?;
        Ok(plugin)
    }

    fn configure_first(&self, engine: &Engine, key_sets: &KeySets) -> Result<(), LoadError> {
        let declaration = match &self.pre {
            Pre::Wasi(blueprint) => engine.wasi_threads.configure(blueprint)?,
            _ => Instance::instantiate(engine, self, Timestamp::now())?.configure(self)?,
        };
        let mut bound = Vec::new();
        for (name, requirements) in &declaration.verifications {
            let granted = self.spec.grants.key_sets.contains(name);
            let Some(key_set) = key_sets.named(name).filter(|_| granted) else {
                let known = key_sets.names().map(str::to_owned).collect();
                let why = if granted { "which isn't configured" } else { "which the manifest doesn't grant" };
                return Err(LoadError::KeySet { name: name.clone(), why, known });
            };
            bound.push(Verification { key_set: Arc::clone(key_set), requirements: requirements.clone() });
        }
        if declaration.may_read_session && !self.spec.grants.may_read_session {
            return Err(LoadError::Declaration("the fact may-read-session, which the manifest doesn't grant".into()));
        }
        let bound: Arc<[Verification]> = bound.into();
        if let Pre::Wasi(blueprint) = &self.pre {
            let admitted = wasi::Admitted { verifications: Arc::clone(&bound), declaration: declaration.clone() };
            let _ = blueprint.admitted.set(admitted);
            // No worker has instances of its own of these.
            engine.wasi_threads.prepare(blueprint)?;
        }
        let _ = self.verifications.set(bound);
        let _ = self.declaration.set(declaration);
        Ok(())
    }

    /// What it imports of WASI. Where that's anything, it runs on threads for such plugins, not on those of requests.
    pub fn wasi_imports(&self) -> &[String] {
        match &self.pre {
            Pre::Wasi(blueprint) => &blueprint.imports,
            _ => &[],
        }
    }

    /// What it declared. Empty only before the first configuration, when nobody else has the plugin yet.
    pub fn declaration(&self) -> &Declaration {
        static NOTHING: Declaration = Declaration { inputs: Inputs::NOTHING, verifications: Vec::new(), may_read_session: false };
        self.declaration.get().unwrap_or(&NOTHING)
    }

    /// The version of the contract that it speaks.
    pub fn contract(&self) -> &'static str {
        VERSION
    }

    /// Whether each call gets a fresh instance, because the plugin was seen to keep state.
    pub fn is_isolated(&self) -> bool {
        self.isolated.load(Ordering::Relaxed)
    }

    pub(super) fn isolate(&self) {
        self.isolated.store(true, Ordering::Relaxed);
    }

    pub(super) fn verifications(&self) -> Arc<[Verification]> {
        self.verifications.get().cloned().unwrap_or_default()
    }
}

// === impl Declaration ===

impl Declaration {
    pub(super) fn parse(declared: v0_1::types::Declaration, kind: Kind) -> Result<Self, LoadError> {
        let in_words = |error: convert::BadAnswer| LoadError::Declaration(error.to_string());
        let inputs = convert::inputs(declared.inputs, kind == Kind::RoutingPolicy).map_err(in_words)?;
        if declared.verifications.len() > 8 || (kind != Kind::Authenticator && !declared.verifications.is_empty()) {
            let found = declared.verifications.len();
            return Err(LoadError::Declaration(format!("{found} verifications: at most 8, and only by authenticators")));
        }
        let verification = |verification: v0_1::types::Verification| {
            if verification.leeway_s > 300 {
                return Err(LoadError::Declaration(format!("a leeway of {} s, at most 300", verification.leeway_s)));
            }
            let claims = verification.claims.iter().map(|path| ClaimPath::parse(path)).collect();
            let requirements = Requirements {
                audiences: verification.audiences,
                issuers: verification.issuers,
                leeway_s: verification.leeway_s,
                claims,
            };
            Ok((verification.key_set, requirements))
        };
        let may_read_session = declared.facts.contains(&v0_1::types::Fact::MayReadSession);
        if may_read_session && kind != Kind::RoutingPolicy {
            return Err(LoadError::Declaration("the fact may-read-session: only routing policies may".into()));
        }
        Ok(Self {
            inputs,
            verifications: declared.verifications.into_iter().map(verification).collect::<Result<_, _>>()?,
            may_read_session,
        })
    }
}

// === impl Pre ===

impl Pre {
    fn link(engine: &Engine, component: &Component, kind: Kind) -> Result<Self, String> {
        let link = || -> wasmtime::Result<Self> {
            Ok(match kind {
                Kind::DiscoveryFilter => {
                    let pre = engine.filters.instantiate_pre(component)?;
                    Self::DiscoveryFilter(v0_1::discovery_filter::DiscoveryFilterPre::new(pre)?)
                }
                Kind::Authenticator => {
                    let pre = engine.authenticators.instantiate_pre(component)?;
                    Self::Authenticator(v0_1::authenticator::AuthenticatorPre::new(pre)?)
                }
                Kind::RoutingPolicy => {
                    let pre = engine.policies.instantiate_pre(component)?;
                    Self::RoutingPolicy(v0_1::routing_policy::RoutingPolicyPre::new(pre)?)
                }
            })
        };
        link().map_err(|error| format!("{error:#}"))
    }

    fn link_with_wasi(
        engine: &Engine,
        component: &Component,
        spec: &PluginSpec,
        name: &Arc<PluginName>,
        key: u64,
        imports: Vec<String>,
    ) -> Result<Self, String> {
        let pre = engine.with_wasi.link(component, spec.kind).map_err(|error| format!("{error:#}"))?;
        Ok(Self::Wasi(Arc::new(wasi::Blueprint {
            name: Arc::clone(name),
            key,
            kind: spec.kind,
            config: spec.config.clone(),
            memory_bytes: spec.memory_bytes,
            imports,
            pre,
            admitted: OnceLock::new(),
            calls: AtomicUsize::new(0),
        })))
    }
}

/// Linking takes as long as much machine code is, and a first `configure` as long as it may: the thread that admits has other things to
/// do meanwhile.
async fn in_background(load: impl FnOnce() -> Result<Plugin, LoadError> + Send + 'static) -> Result<Plugin, LoadError> {
    let stopped = |error| Err(LoadError::Link(format!("it was stopped: {error}")));
    PLUGINS.run(load).await.unwrap_or_else(stopped)
}

/// The preamble of a component (component model binary format): magic, version 13, layer 1.
fn check_format(component: &[u8]) -> Result<(), LoadError> {
    let Some(preamble) = component.get(..8) else {
        return Err(LoadError::NotAComponent(format!("{} bytes", component.len())));
    };
    if preamble[..4] != *b"\0asm" {
        let why = if preamble.starts_with(b"\x7fELF") { "precompiled code is never taken" } else { "no \\0asm at its start" };
        return Err(LoadError::NotAComponent(why.into()));
    }
    if preamble[4..8] == [1, 0, 0, 0] {
        return Err(LoadError::NotAComponent("a core module: it wasn't turned into a component".into()));
    }
    if preamble[6..8] != [1, 0] {
        return Err(LoadError::NotAComponent("an unknown binary format".into()));
    }
    Ok(())
}

fn check_exports(engine: &Engine, component: &Component, kind: Kind) -> Result<(), LoadError> {
    let exports: Vec<String> = component.component_type().exports(engine.wasm()).map(|(name, _)| name.to_owned()).collect();
    if exports.contains(&interface_name(kind)) {
        return Ok(());
    }
    let ours = exports.iter().find_map(|name| name.strip_prefix(&format!("{CONTRACT}/{}@", interface(kind))));
    Err(match ours {
        Some(version) => LoadError::WrongVersion { found: version.to_owned() },
        None => {
            let found = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
            LoadError::WrongKind { found, expected: interface(kind), kind }
        }
    })
}

/// Answers what it imports of WASI.
fn check_imports(engine: &Engine, component: &Component, grants: &Grants) -> Result<Vec<String>, LoadError> {
    let mut with_wasi = Vec::new();
    for import in host_calls::imports(component, engine.wasm()) {
        match wasi::judge(&import) {
            Some(Ok(())) => {
                with_wasi.push(import);
                continue;
            }
            Some(Err(why)) => return Err(LoadError::Ungranted { import, why }),
            None => {}
        }
        let Some((interface, version)) = import.strip_prefix(CONTRACT).and_then(|rest| rest.split_once('@')) else {
            return Err(LoadError::Ungranted { import, why: "isn't part of the contract" });
        };
        if version != VERSION {
            return Err(LoadError::WrongVersion { found: version.to_owned() });
        }
        match interface {
            "/types" => {}
            "/log" if grants.log => {}
            "/jwt" if !grants.key_sets.is_empty() => {}
            "/log" => return Err(LoadError::Ungranted { import, why: "the manifest doesn't grant (grants.log)" }),
            "/jwt" => return Err(LoadError::Ungranted { import, why: "the manifest doesn't grant (grants.key_sets)" }),
            _ => return Err(LoadError::Ungranted { import, why: "isn't part of the contract" }),
        }
    }
    Ok(with_wasi)
}
