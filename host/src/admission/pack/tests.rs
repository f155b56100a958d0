use super::*;

const MANIFEST_TEXT: &str = "# Who may enter.
version: 1
plugins:
  - {name: f, kind: discovery-filter, builtin: discovery-filter}
  - {name: a, kind: authenticator, file: a.wasm, grants: {log: true}}
  - name: p
    kind: routing-policy
    file: p.wasm # ours
    config: {file: p.wasm}
    cases: [p-cases.yaml]
";

fn files(manifest: &str, members: &[(&str, &[u8])]) -> Files {
    let members = members.iter().map(|(name, content)| ((*name).to_owned(), content.to_vec())).collect();
    Files { manifest: manifest.into(), members, digest: String::new() }
}

fn digest(content: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref())
}

fn text(pack: &Pack) -> &str {
    std::str::from_utf8(&pack.members["plugins.yaml"]).unwrap()
}

#[test]
fn components_are_packed_and_pinned_and_the_rest_stays() {
    let (a, p) = (b"\0asm a".repeat(100), b"\0asm p".repeat(100));
    let files = files(
        MANIFEST_TEXT,
        &[
            ("a.wasm", &a),
            ("p.wasm", &p),
            ("p-cases.yaml", b"[]"),
            ("old.wasm", b"\0asm"),
            ("gateway.yaml", b"x"),
            ("p.wasm.sig", b"x"),
        ],
    );
    let pack = Pack::of(&files, 1 << 20).unwrap();
    assert_eq!(pack.members.keys().collect::<Vec<_>>(), ["a.wasm.zst", "p-cases.yaml", "p.wasm.zst", "plugins.yaml"]);
    assert_eq!(unpack(&pack.members["p.wasm.zst"], 1 << 20).unwrap(), p);
    assert_eq!(pack.left_out.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["gateway.yaml", "old.wasm", "p.wasm.sig"]);
    let expected = MANIFEST_TEXT
        .replace("file: a.wasm,", &format!("file: a.wasm.zst, sha256: {},", digest(&a)))
        .replace("file: p.wasm # ours\n", &format!("file: p.wasm.zst # ours\n    sha256: {}\n", digest(&p)));
    // A plugin's own configuration isn't the manifest's.
    assert!(expected.contains("config: {file: p.wasm}"));
    let written = text(&pack);
    assert_eq!(Manifest::parse(written).unwrap().entries[2].config["file"], "p.wasm");
    assert!(written.contains(&digest(&a)) && written.contains(&digest(&p)), "{written}");
}

#[test]
fn comments_and_order_of_a_manifest_stay() {
    let a = b"\0asm a".repeat(100);
    let manifest = MANIFEST_TEXT.replace("    config: {file: p.wasm}\n", "").replace("p.wasm # ours", "\"a.wasm\" # ours");
    let pack = Pack::of(&files(&manifest, &[("a.wasm", &a)]), 1 << 20).unwrap();
    let expected = manifest
        .replace("file: a.wasm,", &format!("file: a.wasm.zst, sha256: {},", digest(&a)))
        .replace("file: \"a.wasm\" # ours\n", &format!("file: a.wasm.zst # ours\n    sha256: {}\n", digest(&a)));
    assert_eq!(text(&pack), expected);
    // Packing again changes nothing.
    let again = Pack::of(&files(text(&pack), &[("a.wasm.zst", &pack.members["a.wasm.zst"])]), 1 << 20).unwrap();
    assert_eq!(again, pack);
}

#[test]
fn a_manifest_in_an_unusual_form_is_written_anew() {
    let a = b"\0asm a".repeat(100);
    let manifest =
        MANIFEST_TEXT.replace("file: a.wasm,", "\"file\": a.wasm,").replace("file: p.wasm # ours", "builtin: routing-policy");
    let pack = Pack::of(&files(&manifest, &[("a.wasm", &a)]), 1 << 20).unwrap();
    let parsed = Manifest::parse(text(&pack)).unwrap();
    assert_eq!(parsed.entries[1].component, Component::File("a.wasm.zst".into()));
    assert_eq!(parsed.entries[1].sha256, Some(digest(&a)));
}

#[test]
fn what_is_not_as_the_manifest_says_is_not_packed() {
    let said = |manifest: &str, members: &[(&str, &[u8])]| Pack::of(&files(manifest, members), 100).unwrap_err().to_string();
    assert_eq!(said(MANIFEST_TEXT, &[]), "plugins.yaml, plugin 'a': a.wasm: no such file beside the manifest");
    let pinned = MANIFEST_TEXT.replace("file: a.wasm", &format!("sha256: {}, file: a.wasm", "ab".repeat(32)));
    assert!(said(&pinned, &[("a.wasm", b"x")]).contains("expected abab"));
    let packed = MANIFEST_TEXT.replace("file: a.wasm", "file: a.wasm.zst");
    assert!(said(&packed, &[("a.wasm.zst", b"x")]).starts_with("plugin 'a': a.wasm.zst: isn't whole zstd data"));
}
