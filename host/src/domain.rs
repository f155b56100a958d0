//! The words that every room uses: sessions, endpoints, identities, decisions. Plain values without I/O and without a
//! trace of Wasm, HTTP or Kubernetes; imported by all, importing none.

pub mod activity;
pub mod attributes;
pub mod candidate;
pub mod credential;
pub mod decision;
pub mod endpoint;
pub mod facts;
pub mod identity;
pub mod record;
pub mod time;
pub mod transport;

pub use activity::{Activities, Activity};
pub use attributes::Attributes;
pub use candidate::Candidate;
pub use credential::Credential;
pub use endpoint::{Endpoint, EndpointId, EndpointName, Protocol, SessionId, SourceKind, UpstreamPath};
pub use identity::{Identity, Principal};
pub use time::Timestamp;
pub use transport::{DownstreamTls, ProxyVersion, Transport, UpstreamHttp, UpstreamTls};
