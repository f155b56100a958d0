//! Where people go after logging in: a path of this gateway and nothing else, however it's written. An open redirect on a
//! login page is the best place for a look-alike of it.

/// Longer ones are given up: the person lands on the list of sessions.
const LONGEST: usize = 4096;

/// The path asked for, or `/` when it isn't certain to be one of this gateway's.
pub(super) fn way_back(asked: Option<&str>) -> &str {
    asked.filter(|path| is_own_path(path)).unwrap_or("/")
}

fn is_own_path(text: &str) -> bool {
    let path = text.split('?').next().unwrap_or_default();
    text.len() <= LONGEST
        && text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#')
        && unescaped(path).is_some_and(|path| is_plain(&path))
        && !matches!(path, "/login" | "/logout")
}

/// No other host (`//`, and what browsers and proxies make of `\`), no climbing.
fn is_plain(path: &[u8]) -> bool {
    !path.starts_with(b"//")
        && path.iter().all(|byte| !byte.is_ascii_control() && *byte != b'\\')
        && path.split(|byte| *byte == b'/').all(|segment| segment != b"." && segment != b"..")
}

/// Percent-decoded until nothing is left to decode. None when something in front of the gateway might decode more often than
/// anybody writes by accident.
fn unescaped(path: &str) -> Option<Vec<u8>> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..4 {
        let decoded = decoded(&bytes);
        if decoded == bytes {
            return Some(decoded);
        }
        bytes = decoded;
    }
    None
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        decoded.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    decoded
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_gateway_is_gone_back_to() {
        for path in [
            "/",
            "/service/t1/",
            "/service/t1.api/lab/tree/a%20b.ipynb?reset&x=//y",
            "/service/t1/proxy/http://inner/",
            "/service/t1/?next=https://elsewhere/%5c",
            "/_wicketgate/to/label/a",
            "/service/t1/100%",
            "/service/t1/...",
        ] {
            assert_eq!(way_back(Some(path)), path);
        }
        assert_eq!(way_back(None), "/");
    }

    #[test]
    fn nothing_else_is() {
        let long = format!("/{}", "a".repeat(LONGEST));
        for path in [
            "",
            "a",
            "service/t1",
            "//evil",
            "///evil",
            "/\\evil",
            "\\\\evil",
            "\\/evil",
            "/%2fevil",
            "/%2Fevil",
            "/%5cevil",
            "/%252fevil",
            "/%25252fevil",
            "/%2525252525fevil",
            "/%09/evil",
            "/\t/evil",
            "/\n/evil",
            "/ /evil",
            " /evil",
            "\u{a0}/evil",
            "/é",
            "https://evil",
            "HTTPS:evil",
            "https:/evil",
            "javascript:alert(1)",
            "data:text/html,x",
            "/a#b",
            "/..//evil",
            "/./evil",
            "/a/../..//evil",
            "/%2e%2e//evil",
            "/a/%2e%2E",
            "/..",
            "/a\\..\\b",
            "/a%00",
            "/%0d%0aSet-Cookie:x",
            "/a\r\nX: y",
            "/login",
            "/login?return=/login",
            "/logout",
            &long,
        ] {
            assert_eq!(way_back(Some(path)), "/", "{path:?}");
        }
    }
}
