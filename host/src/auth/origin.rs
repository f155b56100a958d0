//! Whether a form was sent from a page of the gateway's own. Somebody else's page that logs a person in under the wrong name
//! (or out) gets what that person then types.

use http::{HeaderMap, HeaderName, header, request::Parts};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Browsers say where a form came from, in one of three headers at least; what says nothing isn't a browser, and carries no
/// cookie that somebody else could make use of.
pub(super) fn is_own_form(parts: &Parts, public_origin: &str) -> bool {
    let own = |origin: &str| origin == public_origin || is_of_host(origin, parts);
    let site = single(&parts.headers, FETCH_SITE);
    let origin = single(&parts.headers, header::ORIGIN);
    let referer = single(&parts.headers, header::REFERER);
    if let Sent::Twice = site {
        return false;
    }
    if let Sent::Once(site) = site
        && !matches!(site, "same-origin" | "none")
    {
        return false;
    }
    match (origin, referer) {
        (Sent::Twice, _) | (_, Sent::Twice) => false,
        (Sent::Once(origin), _) => own(origin),
        (Sent::Not, Sent::Once(referer)) => origin_of(referer).is_some_and(|origin| own(&origin)),
        (Sent::Not, Sent::Not) => true,
    }
}

enum Sent<'a> {
    Not,
    Once(&'a str),
    /// Or unreadable.
    Twice,
}

fn single(headers: &HeaderMap, name: HeaderName) -> Sent<'_> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next().map(http::HeaderValue::to_str), lines.next()) {
        (None, _) => Sent::Not,
        (Some(Ok(text)), None) => Sent::Once(text),
        _ => Sent::Twice,
    }
}

/// Whether it's the host that this request was sent to: the gateway by another of its names, a forwarded port for one.
fn is_of_host(origin: &str, parts: &Parts) -> bool {
    let Some(authority) = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")) else { return false };
    let asked = match parts.uri.authority() {
        Some(authority) => Sent::Once(authority.as_str()),
        None => single(&parts.headers, header::HOST),
    };
    matches!(asked, Sent::Once(asked) if asked.eq_ignore_ascii_case(authority))
}

fn origin_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok().map(|url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn is_own(headers: &[(&str, &str)]) -> bool {
        let request = headers.iter().fold(Request::post("/login"), |request, (name, value)| request.header(*name, *value));
        is_own_form(&request.body(()).unwrap().into_parts().0, "https://gate.example.org")
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:8080");

    #[test]
    fn forms_of_the_gateways_pages_are_its_own() {
        for headers in [
            &[][..],
            &[HOST],
            &[HOST, ("origin", "https://gate.example.org")],
            &[HOST, ("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "same-origin")],
            &[HOST, ("referer", "https://gate.example.org/login?return=/x")],
            &[HOST, ("sec-fetch-site", "none"), ("referer", "http://127.0.0.1:8080/")],
        ] {
            assert!(is_own(headers), "{headers:?}");
        }
    }

    #[test]
    fn forms_of_other_pages_are_not() {
        for headers in [
            &[HOST, ("origin", "https://evil.example")][..],
            &[HOST, ("origin", "null")],
            &[HOST, ("origin", "")],
            &[HOST, ("origin", "https://session.gate.example.org")],
            &[HOST, ("origin", "https://gate.example.org.evil.example")],
            &[HOST, ("origin", "https://gate.example.org:444")],
            &[HOST, ("origin", "ftp://127.0.0.1:8080")],
            &[("origin", "https://")],
            &[HOST, ("host", "evil.example"), ("origin", "https://evil.example")],
            &[HOST, ("origin", "https://gate.example.org"), ("origin", "https://evil.example")],
            &[HOST, ("origin", "https://gate.example.org"), ("sec-fetch-site", "cross-site")],
            &[HOST, ("sec-fetch-site", "same-site")],
            &[HOST, ("referer", "https://evil.example/https://gate.example.org/")],
            &[HOST, ("referer", "gate.example.org")],
            &[HOST, ("referer", "https://gate.example.org@evil.example/")],
        ] {
            assert!(!is_own(headers), "{headers:?}");
        }
    }
}
