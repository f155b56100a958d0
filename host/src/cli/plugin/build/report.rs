//! What came of a build: the file, its size, and by which ways it can reach a gateway.

use std::{error::Error, io::Write, path::Path};

use serde::Serialize;

use super::{project::Language, steps::Steps};
use crate::{admission::pack::LEVEL, cli::plugin::check::CONFIG_MAP_BYTES};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    file: String,
    language: Language,
    bytes: usize,
    zstd_bytes: usize,
    fits_config_map: Fits,
    seconds: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fits {
    AsItIs,
    Compressed,
    No,
}

// === impl Report ===

impl Report {
    pub fn of(file: &Path, language: Language, component: &[u8], steps: &Steps) -> Result<Self, Box<dyn Error>> {
        steps.step("compressing");
        let zstd_bytes = zstd::bulk::compress(component, LEVEL)?.len();
        let fits_config_map = Fits::of(component.len(), zstd_bytes);
        let file = file.display().to_string();
        Ok(Self { file, language, bytes: component.len(), zstd_bytes, fits_config_map, seconds: steps.seconds() })
    }

    pub fn print(&self, json: bool) -> Result<(), Box<dyn Error>> {
        let text = if json { serde_json::to_string(self)? } else { self.to_string() };
        writeln!(std::io::stdout().lock(), "{text}")?;
        Ok(())
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, bytes, zstd_bytes, seconds, .. } = self;
        let percent = |part: usize| (part * 100).div_ceil(CONFIG_MAP_BYTES);
        let fits = match self.fits_config_map {
            Fits::AsItIs => format!("fits a ConfigMap ({} % of its 1 MiB)", percent(*bytes)),
            Fits::Compressed => format!("fits a ConfigMap compressed ({} % of its 1 MiB)", percent(*zstd_bytes)),
            Fits::No => "doesn't fit a ConfigMap (1 MiB): deliver it by a registry or a volume".to_owned(),
        };
        write!(f, "{file}: {} KiB, {} KiB as zstd: {fits}; built in {seconds:.1} s", kib(*bytes), kib(*zstd_bytes))
    }
}

fn kib(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

// === impl Fits ===

impl Fits {
    fn of(bytes: usize, zstd_bytes: usize) -> Self {
        if bytes <= CONFIG_MAP_BYTES {
            Self::AsItIs
        } else if zstd_bytes <= CONFIG_MAP_BYTES {
            Self::Compressed
        } else {
            Self::No
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_map_holds_one_mebibyte() {
        assert_eq!(Fits::of(1 << 20, 1), Fits::AsItIs);
        assert_eq!(Fits::of((1 << 20) + 1, 1 << 20), Fits::Compressed);
        assert_eq!(Fits::of(usize::MAX, (1 << 20) + 1), Fits::No);
    }
}
