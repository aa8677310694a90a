/**
 * What the demo plants in its own guest to be found. All of it is inert, and put together only at run time,
 * so that neither this file nor a build of it matches the demo's own rules or any antivirus.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The EICAR test file (https://www.eicar.org), which every antivirus reports. */
export const eicar = (): Buffer =>
  Buffer.from(['X5O!P%@AP[4\\PZX54(P^)7CC)7}', '$EICAR-STANDARD-', 'ANTIVIRUS-TEST-FILE!', '$H+H*'].join(''));

/** What the rule `Lazaret_Demo_Implant` looks for. */
const marker = (): string => ['lazaret', 'demo', 'implant', '5f2c61'].join('::');

/** A script that would fetch the implant, had it anything to fetch. */
export const dropper = (): Buffer => Buffer.from(`#!/bin/sh\n# ${marker()}\nexit 0\n`);

/** A program that only sleeps, with the marker behind its end, where nothing reads it. */
export const implant = (): Buffer =>
  Buffer.concat([readFileSync('/usr/bin/sleep'), Buffer.from(`\n${marker()}\n`)]);

/** Known by its SHA-256 alone: it stands in `demo/hashes/demo.txt`. */
export const minerSettings = (): Buffer =>
  Buffer.from(`${JSON.stringify({ pool: 'stratum.invalid:3333', worker: 'demo', donate: 0 }, null, 2)}\n`);

export interface Sample {
  /** In the guest. */
  readonly path: string;
  readonly content: Buffer;
  readonly mode: number;
}

/** The copy of the implant that stays on the disk; another one runs from a file that is gone. */
export const IMPLANT_PATH = '/usr/lib/.update/helper';
export const RUNNING_IMPLANT_PATH = '/var/tmp/.helper';
/** Starts the implant at boot; it is found with it. */
export const STARTER_PATH = '/etc/init.d/update-helper';
export const EICAR_PATH = '/home/guest/Downloads/invoice.com';

export const samples = (): readonly Sample[] => [
  { path: EICAR_PATH, content: eicar(), mode: 0o640 },
  { path: '/home/guest/.config/autostart/fetch.sh', content: dropper(), mode: 0o755 },
  { path: '/var/tmp/.miner/config.json', content: minerSettings(), mode: 0o600 },
  { path: IMPLANT_PATH, content: implant(), mode: 0o755 },
];

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
