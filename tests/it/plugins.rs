//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod admission;
mod cases;
mod decisions;
mod modes;
mod reload;
mod requests;
mod saved;
mod soak;
mod swaps;
mod taken_back;

pub(crate) use wicketgate_tests::components::HOSTILE;
