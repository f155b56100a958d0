//! From an entry of the manifest to its component's bytes: a member of the set, packed or not, or one of the gateway's own.
//! Nothing here looks into a component; that is `plugin`'s business.

use std::{borrow::Cow, collections::BTreeMap, io::Read};

use super::{
    artifacts::Artifacts,
    builtin,
    load::RefusedSet,
    manifest::{Component, Entry},
};
use crate::background::PLUGINS;

/// How far back a packed component may refer, in bits: what every level of zstd makes of any input stays within.
const LARGEST_WINDOW: u32 = 27;

/// Where the components of one set come from.
pub struct Components<'a> {
    pub members: &'a BTreeMap<String, Vec<u8>>,
    pub artifacts: &'a Artifacts,
    /// A component's largest size, in bytes.
    pub most: usize,
}

// === impl Components ===

impl<'a> Components<'a> {
    /// The component as it's run.
    ///
    /// # Errors
    /// It isn't there, or can't be unpacked within the bounds.
    pub async fn find(&self, entry: &Entry) -> Result<Cow<'a, [u8]>, RefusedSet> {
        let plugin = || entry.name.clone();
        let missing = |file: &str| RefusedSet::Missing {
            plugin: plugin(),
            file: file.to_owned(),
            found: self.members.keys().cloned().collect(),
        };
        match &entry.component {
            Component::Builtin(name) => builtin(name).map(Cow::Borrowed).ok_or_else(|| missing(name)),
            Component::File(file) => {
                let content = self.members.get(file).ok_or_else(|| missing(file))?;
                if !file.ends_with(".zst") {
                    return Ok(Cow::Borrowed(content));
                }
                let (packed, most) = (content.clone(), self.most);
                let unpacked = PLUGINS.run(move || unpack(&packed, most)).await;
                let unpacked = unpacked.unwrap_or_else(|_| Err("unpacking it was stopped".into()));
                unpacked.map(Cow::Owned).map_err(|why| RefusedSet::Packed { plugin: plugin(), file: file.clone(), why })
            }
            Component::Oci(reference) => {
                let pulled = self.artifacts.component(reference).await.map(Cow::Owned);
                pulled.map_err(|why| RefusedSet::Artifact { plugin: plugin(), reference: reference.clone(), why })
            }
        }
    }
}

/// Whatever stands in it, no more memory is touched than for `most` bytes of content, twice.
pub fn unpack(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).and_then(|mut decoder| {
        decoder.window_log_max(LARGEST_WINDOW)?;
        Ok(decoder)
    });
    let read = decoder.and_then(|decoder| decoder.take(most as u64 + 1).read_to_end(&mut unpacked));
    match read {
        Ok(_) if unpacked.len() > most => Err(format!("unpacks to more than {most} bytes (plugins.component_mib)")),
        Ok(_) => Ok(unpacked),
        Err(error) => Err(format!("isn't whole zstd data with a window of at most {} bytes: {error}", 1_u64 << LARGEST_WINDOW)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_was_packed_comes_out() {
        let content = b"\0asm component".repeat(1000);
        for level in [1, 19, 22] {
            let packed = zstd::encode_all(&content[..], level).unwrap();
            assert_eq!(unpack(&packed, content.len()).unwrap(), content);
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_bound() {
        let packed = zstd::encode_all(&vec![0; 64 * MIB][..], 19).unwrap();
        assert!(packed.len() < 64 * 1024, "{}", packed.len());
        assert_eq!(unpack(&packed, MIB).unwrap_err(), "unpacks to more than 1048576 bytes (plugins.component_mib)");
        // Two frames, of which each fits.
        let half = zstd::encode_all(&vec![0; MIB / 2 + 1][..], 1).unwrap();
        assert!(unpack(&half, MIB).is_ok());
        assert!(unpack(&[&half[..], &half[..]].concat(), MIB).is_err());
    }

    #[test]
    fn a_frame_that_wants_much_memory_is_refused() {
        // Content of unknown length, with a window of 1 GiB: its header alone would make a careless decoder reserve that.
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(30).unwrap();
        std::io::Write::write_all(&mut encoder, b"small").unwrap();
        std::io::Write::flush(&mut encoder).unwrap();
        let packed = encoder.finish().unwrap();
        let why = unpack(&packed, MIB).unwrap_err();
        assert!(why.starts_with("isn't whole zstd data with a window of at most 134217728 bytes: "), "{why}");
    }

    #[test]
    fn what_is_cut_short_or_something_else_is_refused() {
        let packed = zstd::encode_all(&b"\0asm component".repeat(1000)[..], 3).unwrap();
        for wrong in [&packed[..packed.len() - 1], &packed[..7], b"\0asm", &[&packed[..], b"more"].concat()] {
            let why = unpack(wrong, MIB).unwrap_err();
            assert!(why.starts_with("isn't whole zstd data"), "{why}");
        }
    }
}
