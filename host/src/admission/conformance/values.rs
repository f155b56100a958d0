//! Values that nobody expects, and that anybody may send.

/// What a header's value, a cookie or a query parameter may be.
pub fn bytes() -> Vec<(&'static str, Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("empty", Vec::new()),
        ("one letter", text("a")),
        ("64 KiB", vec![b'x'; 64 << 10]),
        ("64 KiB of separators", b"; ,=".repeat(16 << 10)),
        ("not UTF-8", vec![0xff, 0xfe, 0x80, 0xc0, b'a', 0xf5]),
        ("cut within a character", vec![b'a', 0xf0, 0x9f, 0x98]),
        ("control characters", text("\0\r\n\t\u{1b}[31m\u{7f}")),
        ("quotes and braces", text("\"'{}[]\\\u{2028}%00%ff${}")),
        ("a number", text("-00018446744073709551616.5e999")),
        ("Bearer alone", text("Bearer")),
        ("Bearer and nothing", text("Bearer  ")),
        ("Bearer and 64 KiB", [b"Bearer ".to_vec(), vec![b'x'; 64 << 10]].concat()),
        ("Basic", text("Basic Og==")),
        ("dots", text("..")),
        ("three parts that are no token", text("Bearer a.b.c")),
        ("a token without algorithm", text("eyJhbGciOiJub25lIn0.e30.")),
        ("many parts", text(&"a.".repeat(2_000))),
    ]
}

/// What a text may be that isn't a value of a header: a path, a host's name, an attribute that a task wrote.
pub fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("empty", String::new()),
        ("64 KiB", "x".repeat(64 << 10)),
        ("control characters", "\0\r\n\t\u{1b}[31m\u{7f}\u{85}".to_owned()),
        ("of another direction", "\u{202e}\u{200f}a\u{0301}\u{feff}".to_owned()),
        ("long characters", "\u{1f600}".repeat(300)),
        ("dots and slashes", "/../..//%2e%2e/%00/;/\\\\".to_owned()),
        ("a number", "99999999999999999999999999".to_owned()),
        ("stars", "*".repeat(200)),
        ("an address", "[::ffff:127.0.0.1%25lo]:99999".to_owned()),
    ]
}
