/** What may be looked at in guests, and what may be done. */
import { z } from 'zod';
import { INSTRUCTION_NAMES } from '../../protocol/index.ts';
import { bytes, duration } from './quantity.ts';
import { flag, guestPath, list, mapping, oneOf, text, wholeNumber } from './values.ts';

/** As /proc/self/mountinfo names them. */
const FILE_SYSTEM_TYPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const inventory = mapping({
  maxEntries: wholeNumber().default(20_000_000).describe('Files and directories listed in one scan.'),
  maxDepth: wholeNumber()
    .max(65_535, { error: 'at most 65535' })
    .default(256)
    .describe('Nesting of directories.'),
  maxTime: duration().prefault('2h').describe('How long a guest may take to list its files.'),
});

const knownContent = mapping({
  remember: flag()
    .default(true)
    .describe(
      'Keep what was clean, so that it is neither fetched nor judged again as long as nothing changed.',
    ),
  agentHashes: flag()
    .default(true)
    .describe("Take an agent's word for what a file hashes to where that content is known to be clean."),
  cloneLines: flag()
    .default(false)
    .describe(
      'Take unchanged listings of one guest for those of its clones: where all guests have one owner.',
    ),
  auditShare: z
    .number({ error: 'a number from 0 to 1' })
    .min(0, { error: 'a number from 0 to 1' })
    .max(1, { error: 'a number from 0 to 1' })
    .default(0.001)
    .describe('Of what need not be fetched, so much is fetched all the same, at random.'),
  settleTime: duration()
    .prefault('1min')
    .describe('A file that changed within this time is not kept as unchanged.'),
  maxContents: wholeNumber()
    .default(2_000_000)
    .describe('Contents that are kept, and ten times as many files of guests.'),
});

/** Those of the contract (`DEADLINES`) that depend on how fast guests are. */
const deadlines = mapping({
  resync: duration().prefault('5s').describe('For an agent to answer at all.'),
  tls: duration().prefault('10s').describe('For the handshake.'),
  login: duration().prefault('10s').describe('For the login.'),
  command: duration().prefault('30s').describe('For the answer to one command.'),
  streamIdle: duration().prefault('15s').describe('Without a byte of a listing or a content.'),
});

export const policy = mapping({
  mode: oneOf(['detect', 'contain', 'delete'])
    .default('detect')
    .describe('What is done about malware: report it, contain it (can be undone), or delete it.'),
  deleteWhenNotContainable: flag()
    .default(false)
    .describe('In mode contain: delete malware in guests that cannot contain files. Cannot be undone.'),
  allow: list(oneOf(INSTRUCTION_NAMES))
    .default([...INSTRUCTION_NAMES])
    .describe('Instructions that may be granted to guests; any other is withheld.'),
  onActiveThreat: oneOf(['none', 'pause'])
    .default('none')
    .describe('What becomes of a VM in which malware runs that could not be stopped: pause it, or nothing.'),
  neverTouch: list(guestPath())
    .default([])
    .describe('Files and directories in guests, with all below, that are reported but never acted upon.'),
  maxFileBytes: bytes().prefault('256MiB').describe('A larger file is unscanned, with the reason too-large.'),
  excludes: list(guestPath())
    .max(256, { error: 'at most 256 paths' })
    .default(['/proc', '/sys'])
    .describe('Files and directories in guests, with all below, that are not scanned.'),
  oneFileSystem: flag()
    .default(false)
    .describe('Do not cross into other file systems than those of the scanned paths.'),
  fileSystems: list(
    text(FILE_SYSTEM_TYPE, '"local", or a type of file system such as nfs4, fuse.sshfs or virtiofs'),
  )
    .max(128, { error: 'at most 128 types' })
    .default(['local'])
    .describe(
      'Types of file systems in guests that are scanned: local stands for all that lie on disks of the guest or in its memory. Others are left out, and reported so.',
    ),
  inventory: inventory.prefault({}).describe('Bounds on listing the files of a guest.'),
  knownContent: knownContent.prefault({}).describe('What need not be fetched and judged again.'),
  deadlines: deadlines.prefault({}).describe('How long a guest may let us wait before it counts as silent.'),
});
