/**
 * Tries a package as the host would use it, and says what is wrong with it and what to do: its description, its
 * start, and what it says of an empty file, a small text and a program of this host. Nothing in it is malware.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer, Checkup, Detector, Logger } from '../api/index.ts';
import type { Excess } from './call.ts';
import { IsolatedDetector, type IsolationLimits, LIMITS } from './isolated-detector.ts';
import { askOnce } from './isolated-plugin.ts';
import { type FoundPackage, readPackage } from './manifest.ts';
import { makeProbes, type Probe } from './probes.ts';

/** `options`: those that the configuration has for it. Does not reject. */
export async function tryPackage(
  directory: string,
  options: (id: string) => unknown,
  limits: IsolationLimits = LIMITS,
): Promise<Checkup[]> {
  let found: FoundPackage;
  try {
    found = readPackage(directory);
  } catch (error) {
    const remedy =
      'its package.json is the one to look at; docs/guides/write-a-detector.md says what has to be in there';
    return [{ status: 'fail', detail: (error as Error).message, remedy }];
  }
  const described: Checkup = { status: 'ok', detail: `${found.name} ${found.version}: ${describe(found)}` };
  const given = options(found.manifest.id);
  const issues = await checkOptions(found, given, limits);
  if (issues.length > 0) return [described, ...issues];
  return [described, ...(await tryRunning(found, given, limits))];
}

function describe({ manifest: { kind, id, api, wants, requires } }: FoundPackage): string {
  return `a ${kind} with the id ${id} for version ${api} of the API; looks at ${wants.kinds.join(' and ')}; requires ${requires.join(', ')}`;
}

async function checkOptions(
  found: FoundPackage,
  options: unknown,
  limits: IsolationLimits,
): Promise<Checkup[]> {
  const answer = await askOnce(found, options, limits);
  if (typeof answer === 'string') return [startFailure(answer)];
  return answer.map(({ path = [], message }) => {
    const key = ['plugins', found.manifest.id, ...path].join('.');
    return {
      status: 'fail',
      detail: `${key}: ${message}`,
      remedy: 'set it in a configuration, and name that with --config',
    };
  });
}

const startFailure = (reason: string): Checkup => ({
  status: 'fail',
  detail: `it does not start: ${reason}`,
  remedy:
    'it runs without network, child processes, workers, native code and files of the host: it may read its own package, what that depends on, and what it is asked about',
});

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined };

async function tryRunning(
  found: FoundPackage,
  options: unknown,
  limits: IsolationLimits,
): Promise<Checkup[]> {
  const place = mkdtempSync(join(tmpdir(), 'lazaret-try-'));
  try {
    const isolation = { found, options, signatures: [], places: [place], logger: silent, limits };
    const begun = performance.now();
    const detector = await IsolatedDetector.open(isolation);
    const took = Math.round(performance.now() - begun);
    const probes = makeProbes(place, found.manifest.wants);
    const tried = await tryOpened(detector, probes, took).finally(() => detector.close());
    return [...tried, ...beyondBounds(detector.excess)];
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function beyondBounds({ unasked, cut }: Excess): Checkup[] {
  const remedy = 'keep to what was asked: a host drops the rest, and ends a plugin that goes on like this';
  if (unasked + cut === 0) return [];
  return [
    { status: 'fail', detail: `${unasked} messages that nobody asked for, ${cut} findings too many`, remedy },
  ];
}

async function tryOpened(detector: Detector, probes: readonly Probe[], took: number): Promise<Checkup[]> {
  if (detector.problems.length > 0) return detector.problems.map(({ message }) => startFailure(message));
  const count = detector.engine.signatureCount;
  const started: Checkup = {
    status: 'ok',
    detail: `starts in ${took} ms, with ${count} ${count === 1 ? 'signature' : 'signatures'}`,
  };
  return [started, ...(await tryAll(detector, probes))];
}

/** One after the other: one that it fails on has nothing to do with the others. */
async function tryAll(detector: Detector, all: readonly Probe[]): Promise<Checkup[]> {
  const checkups: Checkup[] = [];
  for (const probe of all) checkups.push(await tryOne(detector, probe));
  return checkups;
}

async function tryOne(detector: Detector, { what, subject }: Probe): Promise<Checkup> {
  const prospect =
    subject.kind === 'file' ? { kind: subject.kind, facts: subject.facts } : { kind: subject.kind };
  if (!detector.wants(prospect)) return { status: 'ok', detail: `${what}: it does not want it` };
  const begun = performance.now();
  try {
    const answers = await Array.fromAsync(detector.detect([subject], new AbortController().signal));
    return judged(what, answers[0], Math.round(performance.now() - begun));
  } catch (error) {
    return {
      status: 'fail',
      detail: `${what}: ${(error as Error).message}`,
      remedy:
        'this and all that is asked with it is unscanned: answer { subject, unscanned, detail } instead',
    };
  }
}

function judged(what: string, answer: Answer | undefined, ms: number): Checkup {
  if (answer === undefined) {
    const remedy = 'yield one answer for each subject, with its id: what has none is unscanned';
    return { status: 'fail', detail: `${what}: no answer`, remedy };
  }
  if ('unscanned' in answer) {
    const detail = `${what}: unscanned (${answer.unscanned})${answer.detail ? `: ${answer.detail}` : ''}`;
    return { status: 'warn', detail, remedy: 'if it could be judged, say so: unscanned is not clean' };
  }
  const [first] = answer.detections;
  if (first === undefined) return { status: 'ok', detail: `${what}: clean, after ${ms} ms` };
  const remedy = 'it finds something in every guest: is it meant to?';
  return { status: 'warn', detail: `${what}: ${first.judgement}, ${first.name}`, remedy };
}
