// Between bytes and text, because the engine inside a component has neither TextEncoder nor TextDecoder.

/** Bytes as text; what isn't UTF-8 (RFC 3629) becomes U+FFFD, so that it's there and equals nothing. */
export function utf8(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const [code, length] = character(bytes, at);
    text += String.fromCodePoint(code);
    at += length;
  }
  return text;
}

const BROKEN = [0xfffd, 1];

function character(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || first > 0xf4 || at + length > bytes.length) return BROKEN;
  let code = first & (0xff >> (length + 1));
  for (let next = at + 1; next < at + length; next += 1) {
    if ((bytes[next] & 0xc0) !== 0x80) return BROKEN;
    code = (code << 6) | (bytes[next] & 0x3f);
  }
  const least = [0, 0, 0x80, 0x800, 0x10000][length];
  return code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? BROKEN : [code, length];
}

/** Text as bytes in UTF-8. */
export function bytesOf(text) {
  const bytes = [];
  for (const character of text) {
    const code = character.codePointAt(0);
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), tail(code));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), tail(code >> 6), tail(code));
    else bytes.push(0xf0 | (code >> 18), tail(code >> 12), tail(code >> 6), tail(code));
  }
  return new Uint8Array(bytes);
}

function tail(bits) {
  return 0x80 | (bits & 0x3f);
}
