use http::{HeaderMap, HeaderValue, Method};

use super::*;
use crate::plugin::Connection;

fn gather_and_encode(inputs: &Inputs, headers: &HeaderMap, query: Option<&str>, path: &str) -> Vec<u8> {
    let connection = Connection { client: [127, 0, 0, 1].into(), listener_port: 80, tls_name: None, client_certificate: None };
    let subject = Subject::Http(HttpSubject {
        method: &Method::GET,
        authority: "gate",
        path,
        query,
        headers,
        upgrade: None,
        connection: &connection,
    });
    let mut key = Vec::new();
    inputs.gather(&subject).encode(&mut key);
    key
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

#[test]
fn absent_empty_and_repeated_values_are_different_inputs() {
    let inputs = Inputs {
        cookies: vec![NamePattern::Exact("a".into()), NamePattern::Prefix("t".into())],
        headers: vec![HeaderName::from_static("x-a")],
        query: vec!["q".into()],
        ..Inputs::default()
    };
    let different: Vec<Vec<u8>> = [
        (vec![], None),
        (vec![("cookie", "a=")], None),
        (vec![("cookie", "a=1")], None),
        (vec![("cookie", "a=1; a=1")], None),
        (vec![("cookie", "a=11")], None),
        (vec![("cookie", "ta=1")], None),
        (vec![("x-a", "")], None),
        (vec![("x-a", "1")], None),
        (vec![("x-a", "1"), ("x-a", "1")], None),
        (vec![("x-a", "a=1")], None),
        (vec![], Some("q")),
        (vec![], Some("q=1")),
        (vec![], Some("q=1&q=1")),
        (vec![], Some("q=1&q=2")),
    ]
    .into_iter()
    .map(|(lines, query)| gather_and_encode(&inputs, &headers(&lines), query, "/"))
    .collect();
    for (at, one) in different.iter().enumerate() {
        for (other_at, other) in different.iter().enumerate() {
            assert!(at == other_at || one != other, "{at} and {other_at} look the same");
        }
    }
}

#[test]
fn what_is_not_declared_changes_nothing() {
    let inputs = Inputs { cookies: vec![NamePattern::Exact("a".into())], ..Inputs::default() };
    let bare = gather_and_encode(&inputs, &headers(&[("cookie", "a=1")]), None, "/");
    let more = headers(&[("cookie", "b=2; a=1;c"), ("x-other", "1"), ("authorization", "Bearer x")]);
    assert_eq!(bare, gather_and_encode(&inputs, &more, Some("q=1"), "/other"));
}

#[test]
fn a_path_is_cut_at_the_declared_segments() {
    for (path, count, cut) in [("/a/b/c", 2, "/a/b"), ("/a", 2, "/a"), ("/", 1, "/"), ("/a/", 1, "/a"), ("/a/b", 0, "")] {
        assert_eq!(PathExtent::Segments(count).of(path), cut);
    }
    assert_eq!(PathExtent::Full.of("/a/b/c"), "/a/b/c");
}

#[test]
fn tokens_are_taken_from_credentials_only() {
    let declared = HeaderName::from_static("authorization");
    let credentials = CredentialInputs {
        cookies: vec![NamePattern::Exact("t".into())],
        headers: vec![declared.clone()],
        ..CredentialInputs::default()
    };
    let gathered = Gathered {
        cookies: vec![("t", b"one"), ("plain", b"two")],
        headers: vec![("authorization", b"bearer three"), ("x-a", b"four")],
        ..Gathered::default()
    };
    assert_eq!(gathered.tokens(&credentials).collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(gathered.bearers().collect::<Vec<_>>(), ["three"]);
}
