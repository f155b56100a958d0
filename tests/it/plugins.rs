//! Changes of plugins while the gateway runs, and plugins that mean harm.

mod reload;
mod swaps;
