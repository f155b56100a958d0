//! How one decision is made: the engine, the instances of each worker, the cache, and the chains.
//!
//! The pipeline and discovery call `PluginSet::{authenticate, route, filter}`; admission builds `PluginSet`s. This room
//! knows nothing of routes, snapshots or HTTP connections, and it is the only one where Wasm is.

pub mod subject;

pub use subject::{Connection, HttpSubject, Subject, TcpSubject};
