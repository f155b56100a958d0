//! A plugin directory made small: components compressed, each pinned by its digest in the manifest. What comes out is a set as
//! `directory` reads it.

mod rewrite;

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    components::unpack,
    directory::{Files, MANIFEST, hex},
    manifest::{Component, Manifest, ManifestError},
};

/// zstd's strongest ordinary level: what is unpacked everywhere.
pub const LEVEL: i32 = 19;
/// What a packed member's name ends in.
const PACKED: &str = ".zst";
const SIGNATURE: &str = ".sig";

/// What was packed.
#[derive(Debug, PartialEq)]
pub struct Pack {
    /// By name, the manifest among them.
    pub members: BTreeMap<String, Vec<u8>>,
    /// Members that aren't in it, with why.
    pub left_out: Vec<(String, &'static str)>,
}

/// A directory can't be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("plugins.yaml, plugin '{plugin}': {file}: no such file beside the manifest")]
    Missing { plugin: String, file: String },
    #[error("plugin '{plugin}': {file}: {why}")]
    Unpack { plugin: String, file: String, why: String },
    #[error("plugin '{plugin}': sha256 is {found}, expected {expected}")]
    Digest { plugin: String, found: String, expected: String },
    #[error("{0}: {1}")]
    Compress(String, std::io::Error),
}

/// A component under the name that it's packed as.
pub(super) struct Renamed {
    pub file: String,
    pub packed: String,
    pub sha256: String,
}

// === impl Pack ===

impl Pack {
    /// Packs what the manifest names; `most` is a component's largest size, in bytes.
    ///
    /// # Errors
    /// A member isn't there, or isn't what the manifest says.
    pub fn of(files: &Files, most: usize) -> Result<Self, PackError> {
        let manifest = Manifest::parse(&files.manifest)?;
        let mut members = BTreeMap::new();
        let mut renamed: Vec<Renamed> = Vec::new();
        for entry in &manifest.entries {
            let Component::File(file) = &entry.component else { continue };
            let plugin = || entry.name.clone();
            let content = files.members.get(file).ok_or_else(|| PackError::Missing { plugin: plugin(), file: file.clone() })?;
            let is_packed = file.ends_with(PACKED);
            let component = if is_packed {
                let unpacked = unpack(content, most);
                Cow::Owned(unpacked.map_err(|why| PackError::Unpack { plugin: plugin(), file: file.clone(), why })?)
            } else {
                Cow::Borrowed(content.as_slice())
            };
            let found = hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &component).as_ref());
            if let Some(expected) = entry.sha256.clone().filter(|expected| *expected != found) {
                return Err(PackError::Digest { plugin: plugin(), found, expected });
            }
            if renamed.iter().any(|earlier| earlier.file == *file) {
                continue;
            }
            let (packed, content) = if is_packed {
                (file.clone(), content.clone())
            } else {
                let compressed = zstd::encode_all(&*component, LEVEL).map_err(|error| PackError::Compress(file.clone(), error))?;
                (format!("{file}{PACKED}"), compressed)
            };
            members.insert(packed.clone(), content);
            renamed.push(Renamed { file: file.clone(), packed, sha256: found });
        }
        let mut left_out = Vec::new();
        for (name, content) in &files.members {
            if renamed.iter().any(|renamed| renamed.file == *name) {
                continue;
            }
            if name.ends_with(SIGNATURE) {
                left_out.push((name.clone(), "the manifest pins each member now: sign plugins.yaml anew"));
            } else if manifest.entries.iter().any(|entry| entry.cases.contains(name)) {
                members.insert(name.clone(), content.clone());
            } else if name != MANIFEST {
                left_out.push((name.clone(), "the manifest doesn't name it"));
            }
        }
        members.insert(MANIFEST.to_owned(), rewrite::manifest(&files.manifest, &manifest, &renamed)?.into_bytes());
        Ok(Self { members, left_out })
    }

    /// All members together, as ConfigMaps count them: contents, not names.
    pub fn bytes(&self) -> usize {
        self.members.values().map(Vec::len).sum()
    }
}

#[cfg(test)]
mod tests;
