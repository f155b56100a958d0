use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn open_up(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_is_written_is_there_whole_and_private() {
    let outside = tempfile::tempdir().unwrap();
    let private = PrivateDirectory::within(&outside.path().join("deep")).unwrap();
    assert_eq!(private.read("file").unwrap(), None);
    for content in ["one", "two"] {
        private.write("file", content.as_bytes()).unwrap();
        assert_eq!(private.read("file").unwrap().unwrap(), content.as_bytes());
    }
    assert_eq!((mode(private.path()), mode(&private.path().join("file"))), (0o700, 0o600));
    assert_eq!(private.names().unwrap(), ["file"], "nothing unfinished is left");
    let within = private.directory("sets").unwrap();
    within.write("b", b"content").unwrap();
    within.set_modified("b", SystemTime::UNIX_EPOCH).unwrap();
    let kept = Kept { name: "b".into(), bytes: 7, modified: SystemTime::UNIX_EPOCH };
    assert_eq!(within.files().unwrap(), [kept]);
    for name in ["sets", "file", "file"] {
        private.remove(name).unwrap();
    }
    assert!(private.names().unwrap().is_empty());
    assert!(PrivateDirectory::within(&outside.path().join("deep")).is_ok(), "it's there already");
}

#[test]
fn what_others_could_look_into_is_closed_to_them_without_machine_code() {
    let outside = tempfile::tempdir().unwrap();
    let private = PrivateDirectory::within(outside.path()).unwrap();
    private.write("good", b"digest").unwrap();
    private.directory("sets").unwrap().write("a", b"A").unwrap();
    private.directory(COMPILED).unwrap().write("code", b"of somebody").unwrap();
    // As kubelet does it to a volume for fsGroup.
    for (name, mode) in [("sets/a", 0o660), ("good", 0o660), ("sets", 0o2770), (COMPILED, 0o2770), ("", 0o2770)] {
        open_up(&private.path().join(name), mode);
    }
    let private = PrivateDirectory::within(outside.path()).unwrap();
    assert_eq!((mode(private.path()), mode(&private.path().join("sets/a"))), (0o700, 0o600));
    assert_eq!(private.read("good").unwrap().unwrap(), b"digest");
    assert_eq!(private.directory("sets").unwrap().read("a").unwrap().unwrap(), b"A");
    assert!(!private.path().join(COMPILED).exists(), "others may have written it");
}

#[test]
fn what_is_no_directory_of_ours_is_not_used() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join(NAME);
    let refused = || PrivateDirectory::within(outside.path()).unwrap_err().to_string();
    fs::create_dir(outside.path().join("elsewhere")).unwrap();
    symlink(outside.path().join("elsewhere"), &path).unwrap();
    assert!(refused().ends_with("plugins: found a link or a file, expected a directory"), "{}", refused());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "").unwrap();
    assert!(refused().ends_with("plugins: found a link or a file, expected a directory"), "{}", refused());
    fs::remove_file(&path).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::create_dir(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(1), None).unwrap();
        assert!(refused().ends_with("found a directory or file of user 1, expected one of user 0"), "{}", refused());
    }
}

#[test]
fn a_directory_put_in_its_place_is_never_looked_into() {
    let outside = tempfile::tempdir().unwrap();
    let private = PrivateDirectory::within(outside.path()).unwrap();
    let compiled = private.directory(COMPILED).unwrap();
    compiled.write("code", b"ours").unwrap();
    fs::rename(private.path(), outside.path().join("away")).unwrap();
    fs::create_dir_all(compiled.path()).unwrap();
    fs::write(compiled.path().join("code"), "another's").unwrap();
    assert_eq!(compiled.read("code").unwrap().unwrap(), b"ours");
    assert_eq!(private.directory(COMPILED).unwrap().read("code").unwrap().unwrap(), b"ours");
    compiled.write("more", b"ours").unwrap();
    assert!(outside.path().join("away/compiled/more").exists());
}

#[test]
fn a_file_that_others_could_have_written_is_not_read() {
    let outside = tempfile::tempdir().unwrap();
    let private = PrivateDirectory::within(outside.path()).unwrap();
    private.write("file", b"content").unwrap();
    open_up(&private.path().join("file"), 0o620);
    assert_eq!(private.read("file").unwrap_err().to_string(), "found mode 620, expected 600");
    private.write("file", b"content").unwrap();
    assert_eq!(private.read("file").unwrap().unwrap(), b"content");
    symlink("file", private.path().join("link")).unwrap();
    assert!(private.read("link").is_err());
    fs::create_dir(private.path().join("directory")).unwrap();
    assert!(private.read("directory").is_err());
}
