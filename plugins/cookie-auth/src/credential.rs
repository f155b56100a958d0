//! Where a request may hold a token.

use alloc::vec::Vec;

use wicketgate_plugin::HttpRequest;

use crate::AUTHORIZATION;
use crate::config::{Config, Cookie};

/// How many tokens of one request are tried: a client may send any number of cookies, and each costs a verification.
const TOKENS_MAX: usize = 8;

/// The tokens, in the order in which they're tried: `Authorization` before cookies, because somebody put it there for this
/// request; then cookies in the configuration's order. What isn't text can't be a token.
pub fn tokens<'a>(http: &'a HttpRequest, config: &'a Config) -> Vec<&'a str> {
    let headers = http.headers(AUTHORIZATION).filter(|_| config.bearer).filter_map(text).filter_map(bearer);
    let cookies = config.cookies.iter().flat_map(|entry| {
        let cookie = Cookie::of(entry);
        http.cookies.iter().filter(move |field| cookie.is(&field.name)).filter_map(|field| text(&field.value)).map(str::trim_ascii)
    });
    let mut tokens: Vec<&str> = Vec::new();
    // A cookie that's cleared is often sent empty: that's no credential.
    for token in headers.chain(cookies).filter(|token| !token.is_empty()) {
        if tokens.len() < TOKENS_MAX && !tokens.contains(&token) {
            tokens.push(token);
        }
    }
    tokens
}

fn text(bytes: &[u8]) -> Option<&str> {
    core::str::from_utf8(bytes).ok()
}

/// The token of `Bearer <token>` (RFC 6750, section 2.1); the scheme's case doesn't matter (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim_ascii().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use wicketgate_plugin::Field;

    use super::*;

    fn http(cookies: &[(&str, &[u8])], authorization: &[&[u8]]) -> HttpRequest {
        HttpRequest {
            cookies: cookies.iter().map(|(name, value)| Field::new(*name, *value)).collect(),
            headers: authorization.iter().map(|value| Field::new(AUTHORIZATION, *value)).collect(),
            ..HttpRequest::default()
        }
    }

    #[test]
    fn authorization_comes_first_and_cookies_in_configured_order() {
        let http =
            http(&[("allegro_token_x", b"c"), ("clearml_token_basic", b"b"), ("wicketgate_session", b"a")], &[b"bearer  z "]);
        assert_eq!(tokens(&http, &Config::default()), ["z", "a", "b", "c"]);
    }

    #[test]
    fn other_schemes_empty_values_and_bytes_are_no_tokens() {
        let http =
            http(&[("wicketgate_session", b""), ("wicketgate_session", b"\xff")], &[b"Basic eDp5", b"Bearer", b"Bearer  ", b""]);
        assert_eq!(tokens(&http, &Config::default()), [""; 0]);
    }

    #[test]
    fn a_repeated_token_counts_once_and_their_number_is_bounded() {
        let names: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
        let mut cookies: Vec<(&str, &[u8])> = vec![("wicketgate_session", b"same"), ("wicketgate_session", b"same")];
        cookies.extend(names.iter().map(|name| ("allegro_token_n", name.as_bytes())));
        let http = http(&cookies, &[]);
        let config = Config::default();
        let tokens = tokens(&http, &config);
        assert_eq!((tokens.len(), tokens[0], tokens[1]), (TOKENS_MAX, "same", "t0"));
    }
}
