/** Cuts a byte stream into lines, each without its newline. */
export class Lines {
  private parts: Buffer[] = [];

  *push(chunk: Buffer): Generator<string> {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      const end = chunk.subarray(from, at);
      const line = this.parts.length === 0 ? end : Buffer.concat([...this.parts, end]);
      this.parts = [];
      yield line.toString('utf8');
      from = at + 1;
    }
    if (from < chunk.length) this.parts.push(chunk.subarray(from));
  }
}
