/** The line on a terminal that says how far a scan is. */
import type { ScanProgress } from '../scan/report.ts';
import { formatBytes, formatCount, formatDuration } from './format.ts';
import type { Output } from './io.ts';
import { columnsOf, harmless, shorten } from './text.ts';

const REPAINT_MILLISECONDS = 100;
const BAR = 20;
const CLEAR_LINE = '\r\x1b[K';

/** One line of at most `width` columns. `elapsed` in milliseconds since the scan began. */
export function renderProgress(vm: string, progress: ScanProgress, elapsed: number, width: number): string {
  const { phase, filesDone, bytesDone, found, unscanned } = progress;
  const name = shorten(harmless(vm), 24);
  if (phase !== 'scanning') return shorten(`${name}  ${phase}`, width);
  const rate = elapsed > 0 ? (bytesDone * 1000) / elapsed : 0;
  const parts = [
    name,
    progress.listingComplete ? bar(progress) : 'listing',
    `${formatCount(filesDone)} of ${formatCount(progress.filesListed)} files`,
    `${formatBytes(bytesDone)} of ${formatBytes(progress.bytesListed)}`,
    `${formatBytes(Math.round(rate))}/s`,
    timeLeft(progress, rate),
    found > 0 ? `${formatCount(found)} found` : '',
    unscanned > 0 ? `${formatCount(unscanned)} unscanned` : '',
  ];
  return fitParts(parts.filter(Boolean), width);
}

/** Leaves out the last parts that do not fit, rather than break the line. */
function fitParts(parts: readonly string[], width: number): string {
  let line = '';
  for (const part of parts) {
    const longer = line ? `${line}  ${part}` : part;
    if (columnsOf(longer) > width) break;
    line = longer;
  }
  return line;
}

function bar(progress: ScanProgress): string {
  const share = shareDone(progress);
  const full = Math.round(share * BAR);
  return `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${Math.floor(share * 100)} %`;
}

/** Of the bytes; where there are none, of the files. */
function shareDone({ bytesDone, bytesListed, filesDone, filesListed }: ScanProgress): number {
  const [done, all] = bytesListed > 0 ? [bytesDone, bytesListed] : [filesDone, filesListed];
  return all > 0 ? Math.min(1, done / all) : 0;
}

function timeLeft({ listingComplete, bytesDone, bytesListed }: ScanProgress, rate: number): string {
  if (!listingComplete || rate <= 0 || bytesDone >= bytesListed) return '';
  return `${formatDuration(((bytesListed - bytesDone) * 1000) / rate)} left`;
}

/** Repaints one line of a terminal; writes nothing where `output` is none. */
export class ProgressBar {
  private readonly output: Omit<Output, 'stream'>;
  private readonly now: () => number;
  private vm = '';
  private startedAt = 0;
  private paintedAt = Number.NEGATIVE_INFINITY;
  private shown = false;

  constructor(output: Omit<Output, 'stream'>, now: () => number = () => performance.now()) {
    this.output = output;
    this.now = now;
  }

  begin(vm: string): void {
    this.vm = vm;
    this.startedAt = this.now();
  }

  update(progress: ScanProgress): void {
    const now = this.now();
    if (!this.output.isTTY || now - this.paintedAt < REPAINT_MILLISECONDS) return;
    this.paintedAt = now;
    this.shown = true;
    const line = renderProgress(this.vm, progress, now - this.startedAt, this.output.columns - 1);
    this.output.write(CLEAR_LINE + line);
  }

  /** Removes the line, so that other output can follow. */
  clear(): void {
    if (this.shown) this.output.write(CLEAR_LINE);
    this.shown = false;
  }
}
