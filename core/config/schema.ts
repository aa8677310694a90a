/** What can be configured, whole. `config/lazaret.yaml` documents the same keys for people. */
import { z } from 'zod';
import { groups, libvirt, sockets, vms } from './hosts-schema.ts';
import { policy } from './policy-schema.ts';
import { bytes } from './quantity.ts';
import { budget, schedule } from './schedule-schema.ts';
import { api, enrolment, events, log } from './service-schema.ts';
import { flag, hostPath, list, mapping, text, wholeNumber } from './values.ts';
import { vault } from './vault-schema.ts';

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
  guestsAtOnce: wholeNumber(1_024)
    .optional()
    .describe(
      'How many guests have this host work at once. Default: one for each core, at least 2, at most 8.',
    ),
});

const pluginId = () => text(/^[a-z][a-z0-9-]{0,63}$/, 'a plugin id: lower-case letters, digits and "-"');

/** Options besides `enabled` are the plugin's own and checked by it. */
const plugin = z.looseObject(
  { enabled: flag().default(true).describe('Use this plugin.') },
  { error: 'a mapping' },
);

const vendor = () => text(/^[a-z0-9][a-z0-9-]{0,63}$/, 'a vendor: lower-case letters, digits and "-"');

const publicKey = () => text(/^RW[A-Za-z0-9+/]{54}$/, 'the second line of a minisign public key file');

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
  vault: vault.prefault({}).describe('How much may lie in quarantine.'),
  scan: scan.prefault({}).describe('How scans share this host.'),
  policy: policy.prefault({}).describe('What may be looked at, and what may be done.'),
  groups: groups.default([]).describe('VMs that have settings of their own.'),
  schedule: schedule.prefault({}).describe('When VMs are scanned by themselves.'),
  budget: budget.prefault({}).describe('What a scan may take from a guest.'),
  libvirt: libvirt.prefault({}).describe('VMs that libvirt runs.'),
  vms: vms.default([]).describe('VMs whose channel is a known socket.'),
  sockets: sockets.default([]).describe('VMs whose channels are sockets that come and go.'),
  enrolment: enrolment.prefault({}).describe('How guests are met for the first time.'),
  api: api.prefault({}).describe('How the service is asked.'),
  events: events.prefault({}).describe('Where the service sends events.'),
  log: log.prefault({}).describe('What the service logs.'),
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
