/** Patterns of names: `*` stands for any characters, `?` for any one; everything else for itself. Case counts. */

/**
 * Step by step and not as a regular expression, whose time could explode: on a mismatch only the last `*` takes
 * one character more.
 */
export function matchesPattern(text: string, pattern: string): boolean {
  const [characters, wanted] = [[...text], [...pattern]];
  let [at, next] = [0, 0];
  let star: { readonly next: number; at: number } | undefined;
  while (at < characters.length) {
    if (wanted[next] === '*') {
      star = { next: next + 1, at };
      next += 1;
    } else if (wanted[next] === '?' || wanted[next] === characters[at]) {
      at += 1;
      next += 1;
    } else {
      if (star === undefined) return false;
      star.at += 1;
      at = star.at;
      next = star.next;
    }
  }
  return wanted.slice(next).every((character) => character === '*');
}
