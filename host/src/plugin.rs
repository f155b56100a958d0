//! How one decision is made: the engine, the instances of each worker, the cache, and the chains.
//!
//! The pipeline and discovery call `PluginSet::{authenticate, route, filter}`; admission builds `PluginSet`s. This room
//! knows nothing of routes, snapshots or HTTP connections, and it is the only one where Wasm is.

mod bindings;
mod cache;
mod compile;
mod convert;
mod counts;
mod engine;
mod facts;
mod fault;
mod host_calls;
mod inputs;
mod instance;
pub mod key_set;
mod loaded;
mod private;
mod question;
mod record;
mod set;
pub mod subject;
mod survey;
mod wasi;
mod worker;

pub use crate::domain::decision::Kind;

pub use self::{
    compile::{CompileError, Compiled, Compiler, compile_standard_input},
    convert::KnownHosts,
    counts::{Counts, Durations, Word},
    engine::{Engine, EngineError, MOST_PLUGINS},
    facts::Facts,
    fault::{Fault, FaultKind, PluginName},
    inputs::{CredentialInputs, NamePattern, bearer, cookie_parts, cookies},
    loaded::{Declaration, Grants, LoadError, OnFault, Plugin, PluginSpec},
    private::{NotPrivate, PrivateDirectory},
    record::{Following, Recorder},
    set::{Authenticated, DecisionContext, Generation, NotRecorded, PluginSet, Routed},
    subject::{Connection, HttpSubject, Subject, TcpSubject},
    survey::Survey,
    worker::Worker,
};
