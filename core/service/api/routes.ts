/** All routes that answer with JSON, in the order of the table of access. */
import { z } from 'zod';
import { wireBytes } from '../../../protocol/index.ts';
import { TOKEN_LIFETIME } from '../../enrolment/lifetime.ts';
import { POWER_VERBS } from '../operations.ts';
import {
  ActionView,
  EnrolmentView,
  FindingView,
  PackChangeView,
  PackView,
  PatchReportView,
  pageOf,
  QuarantineView,
  ReloadView,
  SCAN_STATES,
  ScanView,
  TokenView,
  VmActionView,
  VmView,
} from '../views.ts';
import { name, ofId, ofVm, type Route, route, vmPage } from './route.ts';

const DOES = {
  start: 'Starts the VM.',
  stop: 'Asks the guest to shut down.',
  destroy: 'Ends the VM at once, as if its power were cut.',
  pause: 'Suspends the VM in memory.',
  resume: 'Lets a paused VM go on.',
  attach: 'Gives the VM the channel, now and for later starts.',
  detach: 'Takes the channel away again.',
} as const;

const nothing = z.undefined();
const itemsOf = <Item extends z.ZodType>(item: Item) => z.object({ items: z.array(item) });
const snapshotName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name of letters, digits, ".", "_" and "-"');
const ofSnapshot = z.strictObject({ name: snapshotName });

const lifetime = z.coerce
  .number()
  .int()
  .min(1)
  .max(TOKEN_LIFETIME.most)
  .describe('In milliseconds; one minute at least.');
const ofToken = z.strictObject({ lifetime: lifetime.exactOptional() });

const VMS: readonly Route[] = [
  route({
    key: 'GET /v1/vms',
    summary: 'All VMs, with what is known of each.',
    answer: itemsOf(VmView),
    run: async (operations) => ({ items: [...(await operations.vms())] }),
  }),
  route({
    key: 'GET /v1/vms/:vm',
    summary: 'One VM.',
    params: ofVm,
    answer: VmView,
    run: (operations, { params }) => operations.vm(params.vm),
  }),
  ...POWER_VERBS.map((verb) =>
    route({
      key: `POST /v1/vms/:vm/${verb}`,
      summary: DOES[verb],
      params: ofVm,
      answer: VmView,
      run: (operations, { params, by }) => operations.power(params.vm, verb, by),
    }),
  ),
  route({
    key: 'POST /v1/vms/:vm/snapshots',
    summary: 'Takes a snapshot of the VM.',
    params: ofVm,
    body: ofSnapshot,
    answer: VmView,
    run: (operations, { params, body, by }) => operations.snapshot(params.vm, body.name, by),
  }),
  route({
    key: 'POST /v1/vms/:vm/revert',
    summary: 'Puts the VM back to a snapshot; what came after it is lost.',
    params: ofVm,
    body: ofSnapshot,
    answer: VmView,
    run: (operations, { params, body, by }) => operations.revert(params.vm, body.name, by),
  }),
];

const SCANS: readonly Route[] = [
  route({
    key: 'GET /v1/scans',
    summary: 'Scans, newest first.',
    query: z.strictObject({ ...vmPage.shape, state: z.enum(SCAN_STATES).exactOptional() }),
    answer: pageOf(ScanView),
    run: (operations, { query }) => operations.scans(query),
  }),
  route({
    key: 'POST /v1/scans',
    summary: 'Begins a scan as soon as there is room for it.',
    body: z.strictObject({
      vm: name,
      roots: z.array(wireBytes).min(1).max(64).exactOptional().describe('Paths in the guest; default: all.'),
      mode: z.enum(['detect', 'contain', 'delete']).exactOptional().describe('Default: as policy has it.'),
      dryRun: z.boolean().exactOptional().describe('Plan, and do nothing.'),
      fresh: z.boolean().exactOptional().describe('Look at everything, whatever is known from before.'),
    }),
    status: 202,
    answer: ScanView,
    run: (operations, { body }) => operations.startScan(body),
  }),
  route({
    key: 'GET /v1/scans/:id',
    summary: 'One scan.',
    params: ofId,
    answer: ScanView,
    run: (operations, { params }) => operations.scan(params.id),
  }),
  route({
    key: 'POST /v1/scans/:id/cancel',
    summary: 'Ends a scan before its end.',
    params: ofId,
    status: 202,
    answer: ScanView,
    run: (operations, { params }) => operations.cancelScan(params.id),
  }),
];

const RECORDS: readonly Route[] = [
  route({
    key: 'GET /v1/findings',
    summary: 'What was found, last seen first.',
    query: z.strictObject({ ...vmPage.shape, scan: z.string().max(128).exactOptional() }),
    answer: pageOf(FindingView),
    run: (operations, { query }) => operations.findings(query),
  }),
  route({
    key: 'GET /v1/actions',
    summary: 'What was done in guests, newest first.',
    query: vmPage,
    answer: pageOf(ActionView),
    run: (operations, { query }) => operations.actions(query),
  }),
  route({
    key: 'GET /v1/vm-actions',
    summary: 'What was done to VMs as a whole (started, paused, reverted), by whom, newest first.',
    query: vmPage,
    answer: pageOf(VmActionView),
    run: (operations, { query }) => operations.vmActions(query),
  }),
  route({
    key: 'GET /v1/quarantine',
    summary: 'Files that were contained, newest first.',
    query: vmPage,
    answer: pageOf(QuarantineView),
    run: (operations, { query }) => operations.quarantine(query),
  }),
  route({
    key: 'POST /v1/quarantine/:id/restore',
    summary: 'Puts a contained file back into its guest as it was, where it was or elsewhere.',
    params: ofId,
    body: z
      .strictObject({ to: wireBytes.optional().describe('Where in the same guest; default: where it was.') })
      .nullish(),
    answer: nothing,
    run: (operations, { params, body }) => operations.restore(params.id, body?.to),
  }),
  route({
    key: 'DELETE /v1/quarantine/:id',
    summary: 'Removes a contained file for good.',
    params: ofId,
    answer: nothing,
    run: (operations, { params }) => operations.purge(params.id),
  }),
];

const CONTENT: readonly Route[] = [
  route({
    key: 'GET /v1/packs',
    summary: 'Packs of signatures in use.',
    answer: itemsOf(PackView),
    run: async (operations) => ({ items: [...(await operations.packs())] }),
  }),
  route({
    key: 'POST /v1/packs/:vendor/:id/rollback',
    summary: 'Goes back to the version of a pack that was in use before.',
    params: z.strictObject({ vendor: name, id: name }),
    answer: PackChangeView,
    run: (operations, { params }) => operations.rollbackPack(params.vendor, params.id),
  }),
  route({
    key: 'POST /v1/patches',
    summary: 'Applies a bundle to a VM; what goes wrong is rolled back as a whole.',
    body: z.strictObject({
      vm: name,
      bundle: z.string().min(1).describe('The text of the bundle.'),
      dryRun: z.boolean().default(false),
    }),
    answer: PatchReportView,
    run: (operations, { body }) => operations.applyPatch(body),
  }),
];

const ENROLMENTS: readonly Route[] = [
  route({
    key: 'GET /v1/enrolments',
    summary: 'Agents that wait for somebody to accept their key.',
    answer: itemsOf(EnrolmentView),
    run: async (operations) => ({ items: [...(await operations.pendingEnrolments())] }),
  }),
  route({
    key: 'POST /v1/enrolments/:vm/token',
    summary: 'Makes a one-time token with which an agent enrols as this VM.',
    params: ofVm,
    query: ofToken,
    answer: TokenView,
    run: (operations, { params, query }) => operations.createToken(params.vm, query.lifetime),
  }),
  route({
    key: 'POST /v1/enrolments/:vm/accept',
    summary: 'Accepts the key of this fingerprint for this VM.',
    params: ofVm,
    body: z.strictObject({
      fingerprint: z.string().regex(/^[0-9A-Fa-f:]{64,95}$/, 'a SHA-256 in hexadecimal'),
    }),
    answer: nothing,
    run: (operations, { params, body }) => operations.acceptEnrolment(params.vm, body.fingerprint),
  }),
  route({
    key: 'DELETE /v1/enrolments/:vm',
    summary: 'Forgets the key of a VM, so that it enrols again.',
    params: ofVm,
    answer: nothing,
    run: (operations, { params }) => operations.resetEnrolment(params.vm),
  }),
  route({
    key: 'POST /v1/reload',
    summary: 'Reads configuration and packs again; a wrong configuration is refused whole.',
    answer: ReloadView,
    run: (operations) => operations.reload(),
  }),
];

export const JSON_ROUTES: readonly Route[] = [...VMS, ...SCANS, ...RECORDS, ...CONTENT, ...ENROLMENTS];
