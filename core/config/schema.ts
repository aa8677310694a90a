/**
 * What can be configured. Each leaf's `error` completes the sentence "expected …", each description becomes
 * the help of an editor (`lazaret config schema`). `config/lazaret.yaml` documents the same keys for people.
 */
import { z } from 'zod';
import { GuestPath, INSTRUCTION_NAMES } from '../../protocol/index.ts';
import { bytes, duration } from './quantity.ts';

const list = <Item extends z.ZodType>(item: Item) => z.array(item, { error: 'a list' });
const flag = () => z.boolean({ error: 'true or false' });
const wholeNumber = () => {
  const error = 'a whole number, at least 1';
  return z.int({ error }).min(1, { error });
};

const hostPath = () => {
  const error = 'an absolute path on this host, without NUL';
  return z.string({ error }).regex(/^\/[^\0]*$/, { error });
};

const guestPath = () => {
  const error = 'an absolute path in the guest, without "." or ".." components';
  return z.string({ error }).refine(isGuestPath, { error });
};

function isGuestPath(text: string): boolean {
  try {
    GuestPath.of(text);
    return true;
  } catch {
    return false;
  }
}

/** A mapping in which unknown keys are errors; left out, it is as if empty. */
const mapping = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape, { error: 'a mapping' });

const overflow = mapping({
  enabled: flag().default(true).describe('Let larger content wait on disk; without it, it is unscanned.'),
  directory: hostPath().optional().describe('A directory on disk. Default: spool, in the state directory.'),
  bytes: bytes()
    .prefault('4GiB')
    .describe('How much content may wait there at once, over all scans; none is larger.'),
});

const spool = mapping({
  directory: hostPath()
    .default('/dev/shm')
    .describe('Where content waits for its scan. A file system in memory keeps scans fast.'),
  bytes: bytes().prefault('512MiB').describe('How much content may wait at once, over all scans.'),
  overflow: overflow.prefault({}).describe('Where content waits that is larger than half of that.'),
});

const scan = mapping({
  guestsAtOnce: wholeNumber()
    .optional()
    .describe('How many guests are scanned at once. Default: one for each core, at least 2, at most 8.'),
});

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

const policy = mapping({
  mode: z
    .enum(['detect', 'contain', 'delete'], { error: 'one of detect, contain, delete' })
    .default('detect')
    .describe('What is done about malware: report it, contain it (can be undone), or delete it.'),
  deleteWhenNotContainable: flag()
    .default(false)
    .describe('In mode contain: delete malware in guests that cannot contain files. Cannot be undone.'),
  allow: list(z.enum(INSTRUCTION_NAMES, { error: `one of ${INSTRUCTION_NAMES.join(', ')}` }))
    .default([...INSTRUCTION_NAMES])
    .describe('Instructions that may be granted to guests; any other is withheld.'),
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
  inventory: inventory.prefault({}).describe('Bounds on listing the files of a guest.'),
  knownContent: knownContent.prefault({}).describe('What need not be fetched and judged again.'),
  deadlines: deadlines.prefault({}).describe('How long a guest may let us wait before it counts as silent.'),
});

const vmName = () => {
  const error = 'a name of letters, digits, ".", "_" and "-", at most 64 characters';
  return z.string({ error }).regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, { error });
};

const vm = mapping({
  name: vmName().describe('How you call this VM.'),
  socket: hostPath().describe("The host's end of the port org.lazaret.agent.0, a unix socket."),
  uuid: z
    // Any 128 bits: a domain's UUID need not be of a version that RFC 9562 knows.
    .guid({ error: 'a UUID such as 4dea22b3-1d52-d8f3-2516-782e98ab3fa0' })
    .toLowerCase()
    .optional()
    .describe('The UUID of the domain; its agent must then report the same one.'),
});

const vms = list(vm).superRefine((entries, context) => {
  for (const key of ['name', 'socket', 'uuid'] as const) {
    const seen = new Set<string>();
    entries.forEach((entry, index) => {
      const value = entry[key];
      if (value !== undefined && seen.has(value)) {
        const message = `a ${key} that no other VM of this list has`;
        context.addIssue({ code: 'custom', path: [index, key], message, input: value });
      }
      if (value !== undefined) seen.add(value);
    });
  }
});

const pluginId = () => {
  const error = 'a plugin id: lower-case letters, digits and "-"';
  return z.string({ error }).regex(/^[a-z][a-z0-9-]{0,63}$/, { error });
};

/** Options besides `enabled` are the plugin's own and checked by it. */
const plugin = z.looseObject(
  { enabled: flag().default(true).describe('Use this plugin.') },
  { error: 'a mapping' },
);

const vendor = () => {
  const error = 'a vendor: lower-case letters, digits and "-"';
  return z.string({ error }).regex(/^[a-z0-9][a-z0-9-]{0,63}$/, { error });
};

const publicKey = () => {
  const error = 'the second line of a minisign public key file';
  return z.string({ error }).regex(/^RW[A-Za-z0-9+/]{54}$/, { error });
};

const trustedKey = mapping({
  vendor: vendor().describe('The vendor whose packs this key signs, and no others.'),
  key: publicKey().describe("The second line of the vendor's minisign public key file."),
});

const packs = mapping({
  trusted: list(trustedKey)
    .default([])
    .describe("Vendors' keys. A pack that none of them signed is refused."),
  starter: flag().default(true).describe('Use the pack that comes with Lazaret.'),
  watch: hostPath()
    .optional()
    .describe('A directory; newer packs that appear in it are installed while lazaret runs. Default: none.'),
});

export const settingsSchema = mapping({
  state: hostPath()
    .default('/var/lib/lazaret')
    .describe('The state directory: identities, findings, journal, vault. Readable by its owner alone.'),
  spool: spool.prefault({}).describe('Content on its way from guests to detectors.'),
  scan: scan.prefault({}).describe('How scans share this host.'),
  policy: policy.prefault({}).describe('What may be looked at, and what may be done.'),
  vms: vms.default([]).describe('VMs whose channel is a known socket.'),
  packs: packs.prefault({}).describe("Vendors' packs of signatures."),
  pluginDirectories: list(hostPath())
    .default([])
    .describe('Where packages of third parties lie: node_modules with lazaret-plugin-*, or one package.'),
  plugins: z.record(pluginId(), plugin, { error: 'a mapping' }).default({}).describe('Options by plugin id.'),
});

/** The configuration as the code sees it: every default filled in, sizes in bytes, times in milliseconds. */
export type Settings = z.output<typeof settingsSchema>;

/** The settings with nothing configured. */
export const defaults = (): Settings => settingsSchema.parse({});

/** The JSON Schema of a configuration file, for editors. */
export function settingsJsonSchema(): Record<string, unknown> {
  return {
    title: 'Configuration of Lazaret',
    ...z.toJSONSchema(settingsSchema, { io: 'input', target: 'draft-2020-12' }),
  };
}
