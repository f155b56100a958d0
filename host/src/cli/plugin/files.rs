//! The files that are in this program for authors: templates, SDKs, the contract. Written by the build script.

include!(concat!(env!("OUT_DIR"), "/author_files.rs"));

/// The files below a directory, which is named with its slash, by their names in it.
pub(super) fn below(directory: &str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().filter_map(move |(name, content)| Some((name.strip_prefix(directory)?, *content)))
}
