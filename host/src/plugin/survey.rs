//! A component looked at from outside: what it exports and imports, before anything of it runs. For people who want to know what
//! they have there; whether it may be loaded is `loaded`'s business.

use super::{
    Kind,
    compile::Compiled,
    engine::Engine,
    host_calls,
    loaded::{CONTRACT, LoadError, interface},
};

/// What a component shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    pub exports: Vec<String>,
    pub imports: Vec<String>,
}

// === impl Survey ===

impl Survey {
    /// # Errors
    /// The machine code isn't this engine's.
    pub fn of(engine: &Engine, compiled: &Compiled) -> Result<Self, LoadError> {
        let component = engine.runnable(compiled).map_err(LoadError::Link)?;
        let exports = component.component_type().exports(engine.wasm()).map(|(name, _)| name.to_owned()).collect();
        Ok(Self { exports, imports: host_calls::imports(&component, engine.wasm()) })
    }

    /// The kinds of plugin that it is, each with the version of the contract.
    pub fn kinds(&self) -> Vec<(Kind, &str)> {
        let all = [Kind::DiscoveryFilter, Kind::Authenticator, Kind::RoutingPolicy];
        let of = |kind: Kind| {
            let prefix = format!("{CONTRACT}/{}@", interface(kind));
            self.exports.iter().filter_map(move |name| Some((kind, name.strip_prefix(&prefix)?)))
        };
        all.into_iter().flat_map(of).collect()
    }

    /// Whether it imports an interface of the contract, such as `log`.
    pub fn imports_ours(&self, name: &str) -> bool {
        let prefix = format!("{CONTRACT}/{name}@");
        self.imports.iter().any(|import| import.starts_with(&prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_seen_by_the_interface_that_is_exported() {
        let survey = Survey {
            exports: vec!["wicketgate:plugin/routing@0.1.0".into(), "other:thing/routing@1.0.0".into()],
            imports: vec!["wicketgate:plugin/log@0.1.0".into(), "wasi:cli/environment@0.2.3".into()],
        };
        assert_eq!(survey.kinds(), [(Kind::RoutingPolicy, "0.1.0")]);
        assert!(survey.imports_ours("log") && !survey.imports_ours("jwt"));
    }
}
