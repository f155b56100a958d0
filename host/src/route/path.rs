//! The grammar of paths: which segment behind `/service/` a path names, and which paths nobody may send because two readers
//! could take them for different ones. Pure functions over text.

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// `/service/<segment>/…`: the segment, and where the rest with its slash begins.
    Session { segment: &'a str, rest_at: usize },
    /// `/service/<segment>` without a slash behind it.
    SessionWithoutSlash { segment: &'a str },
    /// Begins with `/service` but names no session.
    NoSession,
    /// Anything else: the gateway's own pages.
    Own,
}

/// Where a path leads. No escapes are understood here: `/%73ervice/` isn't `/service/`.
pub fn place(path: &str) -> Place<'_> {
    let Some(behind) = path.strip_prefix("/service") else { return Place::Own };
    let Some(behind) = behind.strip_prefix('/') else {
        return if behind.is_empty() { Place::NoSession } else { Place::Own };
    };
    let end = memchr::memchr(b'/', behind.as_bytes());
    let segment = &behind[..end.unwrap_or(behind.len())];
    if !is_segment(segment) {
        return Place::NoSession;
    }
    match end {
        Some(end) => Place::Session { segment, rest_at: "/service/".len() + end },
        None => Place::SessionWithoutSlash { segment },
    }
}

/// The id of the session that a segment names.
pub fn session_of(segment: &str) -> &str {
    segment.split('.').next().unwrap_or(segment)
}

/// A label of a host name: lower case, digits, hyphens and underscores, no hyphen at either end, at most 63 bytes.
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a path has a dot segment, a backslash or a NUL, plainly or in any encoding: escapes of escapes, overlong UTF-8,
/// and dots before path parameters included. Such a path could lead out of its session at an upstream that decodes it.
pub fn is_ambiguous(path: &str) -> bool {
    let bytes = path.as_bytes();
    if memchr::memchr2(b'%', b'\\', bytes).is_none() && memchr::memmem::find(bytes, b"/.").is_none() {
        return false;
    }
    let (mut dots, mut only_dots, mut at) = (0, true, 0);
    loop {
        let (unit, length) = unit(&bytes[at..]);
        match unit {
            Unit::Forbidden => return true,
            Unit::Slash | Unit::Parameters | Unit::End => {
                if only_dots && (dots == 1 || dots == 2) {
                    return true;
                }
                // What follows `;` up to the next slash belongs to the same segment.
                only_dots = !matches!(unit, Unit::Parameters);
                dots = 0;
            }
            Unit::Dot => dots += 1,
            Unit::Other => only_dots = false,
        }
        if matches!(unit, Unit::End) {
            return false;
        }
        at += length;
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Slash,
    Dot,
    Parameters,
    Forbidden,
    Other,
    End,
}

/// The next character of a path under all its encodings, with the bytes that it takes.
fn unit(bytes: &[u8]) -> (Unit, usize) {
    let Some(&first) = bytes.first() else { return (Unit::End, 0) };
    if first != b'%' {
        return (plain(first), 1);
    }
    // `%25` is a percent sign, so `%252e`, `%25252e`, … are a dot to whoever decodes often enough.
    let mut at = 1;
    while bytes.get(at..at + 2) == Some(b"25") {
        at += 2;
    }
    match escaped(bytes, at) {
        // Overlong forms of ASCII: `%c0%ae`, `%c1%9c`.
        Some(high @ (0xc0 | 0xc1)) if bytes.get(at + 2) == Some(&b'%') => match escaped(bytes, at + 3) {
            Some(low) if low & 0xc0 == 0x80 => (plain((high & 1) << 6 | low & 0x3f), at + 5),
            _ => (Unit::Other, at + 2),
        },
        Some(byte) => (plain(byte), at + 2),
        None => (Unit::Other, at),
    }
}

fn plain(byte: u8) -> Unit {
    match byte {
        b'/' => Unit::Slash,
        b'.' => Unit::Dot,
        b';' => Unit::Parameters,
        b'\\' | 0 => Unit::Forbidden,
        _ => Unit::Other,
    }
}

fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

fn is_segment(segment: &str) -> bool {
    let (session, name) = match segment.split_once('.') {
        Some((session, name)) => (session, Some(name)),
        None => (segment, None),
    };
    is_name(session, 128) && name.is_none_or(|name| is_name(name, 63))
}

fn is_name(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}
