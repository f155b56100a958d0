// Between bytes and text, because the engine inside a component has neither TextEncoder nor TextDecoder.

/** In bytes. So many arguments of one call are no trouble to any engine. */
const CHUNK = 2048;

/** Bytes as text; what isn't UTF-8 (RFC 3629) becomes U+FFFD, so that it's there and equals nothing. */
export function utf8(bytes) {
  if (bytes.length <= CHUNK) return decoded(bytes);
  const texts = [];
  for (let at = 0; at < bytes.length;) {
    let end = Math.min(at + CHUNK, bytes.length);
    // Between two characters: the first byte of one is followed by three others at most.
    for (let back = 0; back < 3 && (bytes[end] & 0xc0) === 0x80; back += 1) end -= 1;
    texts.push(decoded(bytes.subarray(at, end)));
    at = end;
  }
  return texts.join("");
}

/** By functions of the engine itself, where they can: each step that is written here costs as much as a hundred bytes in them. */
function decoded(bytes) {
  const text = String.fromCharCode.apply(null, bytes);
  if (/^[\0-\x7f]*$/.test(text)) return text;
  try {
    return decodeURIComponent(escape(text));
  } catch {
    return String.fromCodePoint.apply(null, characters(bytes));
  }
}

/** The least code point that takes so many bytes. */
const LEAST = [0, 0, 0x80, 0x800, 0x10000];
const BROKEN = 0xfffd;

/** The code points of bytes of which some aren't UTF-8. One loop: calls and small arrays take long in the engine. */
function characters(bytes) {
  const codes = new Uint32Array(bytes.length);
  let count = 0;
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    let code = length === 1 ? first : first & (0xff >> (length + 1));
    let whole = length === 1 || (first >= 0xc2 && first <= 0xf4 && at + length <= bytes.length);
    for (let next = at + 1; whole && next < at + length; next += 1) {
      whole = (bytes[next] & 0xc0) === 0x80;
      code = (code << 6) | (bytes[next] & 0x3f);
    }
    if (length > 1) whole &&= code >= LEAST[length] && code <= 0x10ffff && (code < 0xd800 || code >= 0xe000);
    codes[count] = whole ? code : BROKEN;
    count += 1;
    at += whole ? length : 1;
  }
  return codes.subarray(0, count);
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
