//! Where what was once fetched or built for the tests is kept: outside the checkout, used when it's there, made when it isn't.

use std::path::PathBuf;

/// `~/.cache/wicketgate`.
pub fn directory() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let base = base.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME isn't set")).join(".cache"));
    let directory = base.join("wicketgate");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
