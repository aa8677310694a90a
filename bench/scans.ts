/**
 * Whole scans of one guest, cold and again, beside `yara` and `clamdscan` over the same tree. The engine is one that
 * runs already and has scanned another guest: rules are compiled when the first content comes that needs them.
 */
import { Engine, type GuestFigures } from './engine.ts';
import { startGuest } from './guest.ts';
import { Clamd, type PeerFigures, timeYara } from './peers.ts';
import { figure, heading, line, row } from './table.ts';
import { oneOfEachKind, settled } from './trees.ts';

/** Wall time varies from run to run: the middle one of three counts. */
const RESCANS = 3;

/** What a tool takes that has not seen the tree, and what it takes then. */
interface Peer {
  readonly name: string;
  readonly cold: PeerFigures | undefined;
  readonly again: PeerFigures | undefined;
}

export async function benchYara(tree: string, rules: string): Promise<void> {
  heading('yara, native engine, one guest');
  await settled();
  // Also fills the page cache, so that no disk is measured.
  const cold = timeYara(rules, tree);
  const own = await scans(tree, { yara: { rules: [rules], engine: 'native' } });
  // It remembers nothing.
  compare({ name: 'yara -r -N -p 2', cold, again: cold }, own, 1.25);
}

export async function benchClamav(tree: string): Promise<void> {
  heading('clamav alone, one guest');
  await settled();
  const peer = await timeClamdscan(tree);
  // Another clamd: each remembers what it found clean.
  await using clamd = await Clamd.start();
  if (clamd === undefined || peer === undefined) {
    line('  clamd is not installed: apt-get install clamav-daemon clamdscan');
    return;
  }
  compare(peer, await scans(tree, { clamav: clamd.options }), 1.15);
}

async function timeClamdscan(tree: string): Promise<Peer | undefined> {
  await using clamd = await Clamd.start();
  return clamd && { name: 'clamdscan -m --fdpass', cold: clamd.time(tree), again: clamd.time(tree) };
}

interface Scans {
  readonly cold: GuestFigures;
  readonly again: GuestFigures;
}

async function scans(
  tree: string,
  plugins: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<Scans> {
  await using guest = await startGuest(tree);
  await using engine = await Engine.start({ plugins });
  line(`  the engine is ready after ${engine.setUp.toFixed(2)} s`);
  using small = oneOfEachKind();
  await using another = await startGuest(small.root);
  row('its first scan, a few files', await engine.scan([another]));
  const cold = await engine.scan([guest]);
  const again: GuestFigures[] = [];
  for (let scan = 0; scan < RESCANS; scan++) again.push(await engine.scan([guest]));
  again.sort((a, b) => a.seconds - b.seconds);
  return { cold, again: again[Math.floor(RESCANS / 2)] as GuestFigures };
}

function compare(peer: Peer, { cold, again }: Scans, bound: number): void {
  row('cold scan', cold);
  row('again, nothing changed', again);
  tellOutcome(cold);
  const { name } = peer;
  if (peer.cold === undefined || peer.again === undefined) {
    line(`  ${name.split(' ')[0]} is not installed, so there is nothing to compare with`);
    return;
  }
  const { files, bytes } = cold;
  row(name, { files, bytes, seconds: peer.cold.seconds, guestCpu: peer.cold.cpu });
  if (peer.again !== peer.cold) {
    row('  again', { files, bytes, seconds: peer.again.seconds, guestCpu: peer.again.cpu });
  }
  const share = (own: number, of: number) => (100 * own) / of;
  figure('cold scan, wall', cold.seconds / peer.cold.seconds, ` × ${name}`, 'at most', bound);
  figure('rescan, wall', peer.again.seconds / again.seconds, ' × faster', 'at least', 50);
  figure('guest CPU, cold', share(cold.guestCpu, peer.cold.cpu), ' % of it in the guest', 'at most', 10);
  figure('guest CPU, rescan', share(again.guestCpu, peer.again.cpu), ' % of it in the guest', 'at most', 0.5);
}

export function tellOutcome({ findings, unscanned, daemonMegabytes, enginesMegabytes }: GuestFigures): void {
  line(
    `  ${findings} findings, unscanned ${JSON.stringify(unscanned)}; engine processes up to ${enginesMegabytes.toFixed(0)} MB`,
  );
  figure('daemon resident', daemonMegabytes, ' MB', 'at most', 256);
}
