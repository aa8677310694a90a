/** From entries to what is said of a file: what it starts, and which entries are rarely legitimate. */
import { type Detection, displayBytes, type Start } from 'lazaret/plugin';
import type { Entry, Oddity } from './entry.ts';
import { odditiesIn } from './oddities.ts';
import { listsOf, startedBy } from './started.ts';

export interface Report {
  readonly starts: readonly Start[];
  readonly detections: readonly Detection[];
  /** It starts more than is told. */
  readonly isCut: boolean;
}

/** More than any file of a system has; what is told of all files of a batch is held at once. */
const MOST_STARTS = 500;
const MOST_DETECTIONS = 50;
/** Bytes, of which each may take four characters when it is shown. */
const LONGEST_DESCRIPTION = 240;

/** What is known of the file besides its entries. */
export interface About {
  readonly format: string;
  readonly isShared: boolean;
  readonly home?: string;
}

export function reportOf(entries: readonly Entry[], { format, isShared, home }: About): Report {
  const starts = new Map<string, Omit<Start, 'path'>>();
  const detections: Detection[] = [];
  let hasOthers = false;
  for (const { line, technique, commands = [], files = [], odd } of entries) {
    const lists = listsOf(commands, home);
    const started = startedBy(lists.flat(), home);
    hasOthers ||= started.hasOthers;
    for (const path of [...started.paths, ...files])
      if (!starts.has(path)) starts.set(path, { technique, line });
    for (const path of started.loaded)
      if (!starts.has(path)) starts.set(path, { technique: 'T1574.006', line });
    const found = odditiesIn(lists, [...started.paths, ...started.loaded, ...files]);
    for (const oddity of odd ? [odd, ...found] : found) {
      if (detections.length < MOST_DETECTIONS) detections.push(detectionOf(oddity, format, technique, line));
    }
  }
  const shared = isShared || hasOthers || starts.size > 1;
  const told = [...starts].slice(0, MOST_STARTS).map(([path, facts]) => ({
    ...{ path: shown(path), ...facts },
    ...(shared && { shared }),
  }));
  return { starts: told, detections, isCut: starts.size > MOST_STARTS };
}

function detectionOf(
  { name, description }: Oddity,
  format: string,
  technique: string,
  line: number,
): Detection {
  const said = `Line ${line}: ${description}`.slice(0, LONGEST_DESCRIPTION);
  return { judgement: 'suspicious', name, source: format, description: shown(said), attack: [technique] };
}

/** The text was read as Latin-1, so that each character is a byte. */
const shown = (text: string): string => displayBytes(Buffer.from(text, 'latin1'));
