//! Typed bindings, one module per version of the contract: adding a field to a record breaks old components, so an old version
//! stays as it was. Only `convert` and `host_calls` look in here; the types don't leave the plugin room.

pub mod v0_1;
