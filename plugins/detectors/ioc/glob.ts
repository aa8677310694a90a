/**
 * A path or name in which `*` stands for any characters but `/`. Each piece between stars is searched for once,
 * from where the one before it ended: no pattern takes longer than its length times the path's.
 */
export type Glob = (path: string) => boolean;

export function compileGlob(pattern: string): Glob {
  const segments = pattern.split('/').map((segment) => segment.split('*'));
  return (path) => {
    const parts = path.split('/');
    return (
      parts.length === segments.length &&
      segments.every((pieces, index) => matches(pieces, parts[index] as string))
    );
  };
}

function matches(pieces: readonly string[], text: string): boolean {
  const [first = '', ...middle] = pieces;
  const last = middle.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of middle) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
