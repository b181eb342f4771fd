/**
 * Reading objects without `metadata.managedFields`: half of their bytes, and nobody here asks who set which field. They are cut out of the
 * text before it is parsed.
 */

/**
 * The JSON value without the managedFields of the objects in it.
 * @throws SyntaxError when `text` is no JSON
 */
export function parseLean(text: string): unknown {
  const lean = withoutManagedFields(text);
  if (lean === text) return JSON.parse(text);
  try {
    return JSON.parse(lean);
  } catch {
    // Cut in the wrong place, which leaves half a string behind and so cannot go unnoticed.
    return JSON.parse(text);
  }
}

const opening = '"managedFields":[{';

/**
 * Inside a string the quotes would be escaped, so `opening` is always a field. There are no lists below it: the first `}]` ends it, unless
 * that is part of a text, whose other half then makes what is left unreadable.
 */
function withoutManagedFields(text: string): string {
  let start = text.indexOf(opening);
  if (start < 0) return text;
  let lean = "";
  let done = 0;
  while (start >= 0) {
    const end = text.indexOf("}]", start + opening.length) + 2;
    if (end < 2) return text;
    // Go writes them last in the metadata of its own kinds; custom resources have their fields in alphabetical order.
    if (text.charCodeAt(start - 1) === comma) lean += text.slice(done, start - 1);
    else if (text.charCodeAt(end) === comma) lean += text.slice(done, start);
    else return text;
    done = text.charCodeAt(start - 1) === comma ? end : end + 1;
    start = text.indexOf(opening, end);
  }
  return lean + text.slice(done);
}

const comma = 0x2c;
