/** The line on a terminal that says how far one scan is, or several are. */
import { addCounts } from '../../protocol/index.ts';
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

/** Guests that are being scanned at once, and those before and after them. */
export interface Round {
  readonly guests: number;
  readonly finished: number;
  /** Over all guests. */
  readonly filesDone: number;
  readonly bytesDone: number;
  readonly found: number;
  readonly unscanned: number;
  readonly underWay: readonly { readonly vm: string; readonly progress: ScanProgress }[];
}

/** Totals, then those under way by name, as many as fit. */
export function renderRound(round: Round, elapsed: number, width: number): string {
  const { filesDone, bytesDone, found, unscanned } = round;
  const rate = elapsed > 0 ? (bytesDone * 1000) / elapsed : 0;
  const parts = [
    `${round.finished} of ${formatCount(round.guests)} guests`,
    `${formatCount(filesDone)} files`,
    formatBytes(bytesDone),
    `${formatBytes(Math.round(rate))}/s`,
    found > 0 ? `${formatCount(found)} found` : '',
    unscanned > 0 ? `${formatCount(unscanned)} unscanned` : '',
    ...round.underWay.map(({ vm, progress }) => `${shorten(harmless(vm), 24)} ${stateText(progress)}`),
  ];
  return fitParts(parts.filter(Boolean), width);
}

function stateText(progress: ScanProgress): string {
  if (progress.phase !== 'scanning') return progress.phase;
  return progress.listingComplete ? `${Math.floor(shareDone(progress) * 100)} %` : 'listing';
}

/** One scan's part in the line. */
export interface Tracked {
  update(progress: ScanProgress): void;
  /** It has ended, however it did. */
  end(): void;
}

/** Repaints one line of a terminal; writes nothing where `output` is none. */
export class ProgressBar {
  private readonly output: Omit<Output, 'stream'>;
  private readonly now: () => number;
  private readonly underWay = new Map<Tracked, { readonly vm: string; readonly progress: ScanProgress }>();
  private readonly ended = { filesDone: 0, bytesDone: 0, found: 0, unscanned: 0 };
  private guests = 0;
  private finished = 0;
  private startedAt = 0;
  private paintedAt = Number.NEGATIVE_INFINITY;
  private shown = false;

  constructor(output: Omit<Output, 'stream'>, now: () => number = () => performance.now()) {
    this.output = output;
    this.now = now;
  }

  /** Announces a guest; it is under way with its first progress. */
  begin(vm: string): Tracked {
    if (this.guests++ === 0) this.startedAt = this.now();
    const tracked: Tracked = {
      update: (progress) => {
        this.underWay.set(tracked, { vm, progress });
        this.paint();
      },
      end: () => this.end(tracked),
    };
    return tracked;
  }

  /** Removes the line, so that other output can follow. */
  clear(): void {
    if (this.shown) this.output.write(CLEAR_LINE);
    this.shown = false;
  }

  private end(tracked: Tracked): void {
    const progress = this.underWay.get(tracked)?.progress;
    this.underWay.delete(tracked);
    this.finished += 1;
    if (progress) addTotals(this.ended, progress);
  }

  private paint(): void {
    const now = this.now();
    if (!this.output.isTTY || now - this.paintedAt < REPAINT_MILLISECONDS) return;
    this.paintedAt = now;
    this.shown = true;
    this.output.write(CLEAR_LINE + this.line(now - this.startedAt, this.output.columns - 1));
  }

  private line(elapsed: number, width: number): string {
    const underWay = [...this.underWay.values()];
    const [only] = underWay;
    if (this.guests === 1 && only) return renderProgress(only.vm, only.progress, elapsed, width);
    const totals = { ...this.ended };
    for (const { progress } of underWay) addTotals(totals, progress);
    const { guests, finished } = this;
    return renderRound({ guests, finished, ...totals, underWay }, elapsed, width);
  }
}

const TOTALS = ['filesDone', 'bytesDone', 'found', 'unscanned'] as const;
type Totals = Record<(typeof TOTALS)[number], number>;

function addTotals(totals: Totals, progress: Readonly<Totals>): void {
  for (const key of TOTALS) totals[key] = addCounts(totals[key], progress[key]);
}
