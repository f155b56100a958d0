//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod admission;
mod reload;
mod requests;
mod soak;
mod swaps;

pub(crate) use wicketgate_tests::components::HOSTILE;
