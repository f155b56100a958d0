//! The plugin sets that are swapped: each is the three default plugins, and the policy puts another mark on the requests.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Instant,
};

use wicketgate_tests::{ConfigMap, components};

/// What changes by a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    /// The policy's, which needs no compiler.
    Configuration,
    /// All three, which nobody has compiled yet, and the policy's configuration.
    Components,
}

/// A set that is written and not mounted yet.
pub struct Version {
    change: Change,
    number: u64,
    path: PathBuf,
}

/// The gateway's plugin directory, and one that nobody watches.
pub struct Sets {
    plugins: ConfigMap,
    unwatched: ConfigMap,
    mounted: u64,
    written: u64,
}

// === impl Change ===

impl Change {
    pub const ALL: [Self; 3] = [Self::None, Self::Configuration, Self::Components];
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no swaps",
            Self::Configuration => "another configuration",
            Self::Components => "three other components",
        })
    }
}

// === impl Sets ===

impl Sets {
    pub fn new() -> Self {
        let files = files(Change::Configuration, 0);
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content)).collect();
        Self { plugins: ConfigMap::new(&files), unwatched: ConfigMap::new(&files), mounted: 0, written: 0 }
    }

    pub fn path(&self) -> &Path {
        self.plugins.path()
    }

    /// What the set that was mounted last puts on requests.
    pub fn mark(&self) -> String {
        self.mounted.to_string()
    }

    /// Writes another set. They're to be mounted in the order in which they were written.
    pub fn write(&mut self, change: Change) -> Version {
        self.written += 1;
        let files = files(change, self.written);
        let files: Vec<_> = files.iter().map(|(name, content)| (name.as_str(), content)).collect();
        Version { change, number: self.written, path: self.of(change).write(&files) }
    }

    /// Answers when it was there.
    pub fn mount(&mut self, version: &Version) -> Instant {
        if version.change != Change::None {
            self.mounted = version.number;
        }
        self.of(version.change).mount(&version.path)
    }

    fn of(&mut self, change: Change) -> &mut ConfigMap {
        if change == Change::None { &mut self.unwatched } else { &mut self.plugins }
    }
}

fn files(change: Change, number: u64) -> Vec<(String, Vec<u8>)> {
    let as_file = |name: &str| if change == Change::Components { format!("file: {name}.wasm") } else { format!("builtin: {name}") };
    let [filter, auth, policy] = components::DEFAULTS.map(|(name, _)| as_file(name));
    let manifest = format!(
        "version: 1\nplugins:\n\
         \x20 - {{name: filter, kind: discovery-filter, {filter}}}\n\
         \x20 - {{name: auth, kind: authenticator, {auth}, grants: {{log: true, key_sets: [people]}}, config: {{key_sets: [people]}}}}\n\
         \x20 - {{name: policy, kind: routing-policy, {policy}, config: {{request_headers: {{set: {{X-Policy: '{number}'}}}}}}}}\n"
    );
    let mut files = vec![("plugins.yaml".to_owned(), manifest.into_bytes())];
    if change == Change::Components {
        let numbered = |(name, component): (&str, &[u8])| (format!("{name}.wasm"), components::numbered(component, number));
        files.extend(components::DEFAULTS.map(numbered));
    }
    files
}
