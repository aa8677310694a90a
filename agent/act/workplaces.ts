/** The directories in which commands are at work at this moment: nothing of the guest's, and left out of listings. */

/** What every workplace is called, before digits of its own. */
export const WORKPLACE_PREFIX = '.lazaret-';
const NEWLINE = 0x0a;

export class Workplaces {
  /** By name: when the work in it ended, as `performance` counts. */
  private readonly ended = new Map<string, number>();
  /** How long an ended one is remembered: longer than what was listed meanwhile takes to come. */
  private readonly rememberedMs = 60_000;

  begin(name: string): void {
    const now = performance.now();
    for (const [each, at] of this.ended) if (at + this.rememberedMs < now) this.ended.delete(each);
    this.ended.set(name, Number.POSITIVE_INFINITY);
  }

  end(name: string): void {
    this.ended.set(name, performance.now());
  }

  /** Lines of a listing without those of workplaces there were at some moment since then. */
  leaveOut(lines: Buffer, since: number): Buffer {
    if (this.ended.size === 0 || !lines.includes(WORKPLACE_PREFIX)) return lines;
    const names = [...this.ended].filter(([, at]) => at >= since).map(([name]) => `/${name}"`);
    const kept: Buffer[] = [];
    for (let from = 0; from < lines.length; ) {
      const newline = lines.indexOf(NEWLINE, from);
      const end = newline < 0 ? lines.length : newline + 1;
      const line = lines.subarray(from, end);
      if (!names.some((name) => line.includes(name))) kept.push(line);
      from = end;
    }
    return Buffer.concat(kept);
  }
}
