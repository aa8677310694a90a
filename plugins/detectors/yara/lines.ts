/** Cuts a byte stream into lines, each without its newline. */
export class Lines {
  private parts: Buffer[] = [];

  *push(chunk: Buffer): Generator<string> {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      this.parts.push(chunk.subarray(from, at));
      yield Buffer.concat(this.parts).toString('utf8');
      this.parts = [];
      from = at + 1;
    }
    if (from < chunk.length) this.parts.push(chunk.subarray(from));
  }
}
