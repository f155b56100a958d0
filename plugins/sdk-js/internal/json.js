// `JSON.parse` for text that somebody else wrote: the engine's own goes down with the nesting, to the end of the component's stack.

const DEEPEST = 1000;
const engine = JSON.parse;

export function parse(text, reviver) {
  const source = String(text);
  if (isDeep(source)) throw new SyntaxError(`JSON.parse: found more than ${DEEPEST} levels, expected at most so many`);
  return engine(source, reviver);
}

function isDeep(text) {
  // Most texts have fewer brackets than there may be levels, which is found out much faster.
  if (text.split("[").length + text.split("{").length - 2 <= DEEPEST) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === "\\") at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') {
      quoted = true;
    } else if (character === "[" || character === "{") {
      depth += 1;
      if (depth > DEEPEST) return true;
    } else if (character === "]" || character === "}") {
      depth -= 1;
    }
  }
  return false;
}
