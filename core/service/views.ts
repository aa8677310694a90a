/**
 * What the daemon tells of itself, as schemas: the API's answers and its OpenAPI description are made with them,
 * and its clients read answers with them. Times are milliseconds since 1970, sizes bytes.
 *
 * Names, paths and messages may come from guests. They are data: paths are bytes as in the wire contract (text, or
 * `{"b64": …}`), and whoever shows them makes them harmless.
 */
import { z } from 'zod';
import { PATCH_STATES, SCAN_TRIGGERS } from '../store/records.ts';
import {
  count,
  mode,
  PackVersionView,
  ScanProgressView,
  ScanReportView,
  ScanSummaryView,
  SuspensionView,
  time,
  VIEWS,
} from './record-views.ts';

export {
  ActionView,
  FindingView,
  PackVersionView,
  QuarantineView,
  ScanProgressView,
  ScanReportView,
  ScanSummaryView,
  VIEWS,
  VmActionView,
} from './record-views.ts';

/** An error as callers get it. `code` is from a closed list, `message` says what to do. */
export const ErrorView = z
  .object({ code: z.string(), message: z.string() })
  .register(VIEWS, { id: 'ErrorView' });
export type ErrorView = z.output<typeof ErrorView>;

/** A VM where something else is told of. */
export const VmName = z.object({ id: z.string(), name: z.string() }).register(VIEWS, { id: 'VmName' });
export type VmName = z.output<typeof VmName>;

export const POWER_STATES = ['running', 'paused', 'off', 'unknown'] as const;
/** `absent`: the VM has no port of ours; `closed`: nobody in the guest has opened it. */
export const CHANNEL_STATES = ['absent', 'closed', 'open', 'unknown'] as const;
/** `waiting`: until it is tried again; `suspended`: nothing is done there until somebody looks at it. */
export const CONNECTION_STATES = ['connected', 'connecting', 'waiting', 'refused', 'suspended'] as const;

export const ConnectionView = z
  .object({
    state: z.enum(CONNECTION_STATES),
    since: time,
    /** Why it is not connected. */
    error: ErrorView.exactOptional(),
  })
  .register(VIEWS, { id: 'ConnectionView' });
export type ConnectionView = z.output<typeof ConnectionView>;

export const SCAN_STATES = ['queued', 'running', 'finished', 'failed', 'cancelled'] as const;

export const ScanView = z
  .object({
    id: z.string(),
    vm: VmName,
    mode,
    dryRun: z.boolean(),
    trigger: z.enum(SCAN_TRIGGERS),
    /** Only a part of the guest was looked at. */
    partial: z.literal(true).exactOptional(),
    state: z.enum(SCAN_STATES),
    queuedAt: time,
    startedAt: time.exactOptional(),
    finishedAt: time.exactOptional(),
    /** While it runs. */
    progress: ScanProgressView.exactOptional(),
    /** When it has ended, or what is known so far. */
    summary: ScanSummaryView.exactOptional(),
    error: ErrorView.exactOptional(),
  })
  .register(VIEWS, { id: 'ScanView' });
export type ScanView = z.output<typeof ScanView>;

export const VmView = z
  .object({
    id: z.string(),
    name: z.string(),
    /** Of the configuration. */
    group: z.string(),
    power: z.enum(POWER_STATES),
    channel: z.enum(CHANNEL_STATES),
    connection: ConnectionView,
    /** When its agent was last heard; absent: never. */
    lastSeen: time.exactOptional(),
    /** Such as `Debian GNU/Linux 12`; from the guest. */
    system: z.string().exactOptional(),
    agentVersion: z.string().exactOptional(),
    /** The id of its instruction set. */
    instructionSet: z.string().exactOptional(),
    /** Nothing is done to it until it is enrolled again. */
    suspended: SuspensionView.exactOptional(),
    /** Since when its key is forgotten: whoever logs in next is enrolled as if never seen. */
    resetAt: time.exactOptional(),
    /** The last one that has ended. */
    lastScan: ScanView.exactOptional(),
    /** When the schedule has the next one begin. */
    nextScan: time.exactOptional(),
  })
  .register(VIEWS, { id: 'VmView' });
export type VmView = z.output<typeof VmView>;

/** An OCSF event, version 1.6.0. */
export const OcsfView = z
  .looseObject({
    class_uid: z.number(),
    activity_id: z.number(),
    time: z.number(),
    metadata: z.looseObject({ uid: z.string() }),
  })
  .register(VIEWS, { id: 'OcsfView' });

/** What becomes of a scan that is followed; `ended` is the last one. */
export const ScanEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('progress'), progress: ScanProgressView }),
    z.object({ type: z.literal('ocsf'), event: OcsfView }),
    z.object({
      type: z.literal('ended'),
      scan: ScanView,
      /** What `lazaret scan` prints; absent where the scan came to nothing, or where it is not kept any more. */
      report: ScanReportView.exactOptional(),
    }),
  ])
  .register(VIEWS, { id: 'ScanEvent' });
export type ScanEvent = z.output<typeof ScanEvent>;

/** A version in use, and what it took the place of. */
export const PackChangeView = z
  .object({
    vendor: z.string(),
    id: z.string(),
    active: PackVersionView,
    before: PackVersionView.exactOptional(),
  })
  .register(VIEWS, { id: 'PackChangeView' });
export type PackChangeView = z.output<typeof PackChangeView>;

export const PackView = z
  .object({
    vendor: z.string(),
    id: z.string(),
    active: PackVersionView,
    previous: PackVersionView.exactOptional(),
    /** It came with Lazaret and was never installed. */
    builtIn: z.boolean(),
    /** What is wrong with it, such as a damaged file or its age. */
    problems: z.array(z.string()),
  })
  .register(VIEWS, { id: 'PackView' });
export type PackView = z.output<typeof PackView>;

export const PatchReportView = z
  .object({
    vm: VmName,
    patch: z.string(),
    title: z.string(),
    state: z.enum([...PATCH_STATES, 'applicable']),
    reasons: z.array(z.string()),
    changes: z.array(z.object({ path: z.string(), does: z.enum(['create', 'replace', 'remove']) })),
    actions: z.array(z.string()),
  })
  .register(VIEWS, { id: 'PatchReportView' });
export type PatchReportView = z.output<typeof PatchReportView>;

/** A one-time token that lets one agent enrol as this VM. It is told once, and kept by its digest alone. */
export const TokenView = z
  .object({ vm: VmName, token: z.string(), expires: time })
  .register(VIEWS, { id: 'TokenView' });
export type TokenView = z.output<typeof TokenView>;

/** An agent that waits for somebody to accept its key. */
export const EnrolmentView = z
  .object({
    vm: VmName,
    /** SHA-256 of the agent's public key (SPKI, DER), lower-case hex. */
    fingerprint: z.string(),
    agentVersion: z.string().exactOptional(),
    firstSeen: time,
    lastSeen: time,
  })
  .register(VIEWS, { id: 'EnrolmentView' });
export type EnrolmentView = z.output<typeof EnrolmentView>;

export const HealthView = z
  .object({ live: z.boolean(), ready: z.boolean(), reasons: z.array(z.string()) })
  .register(VIEWS, { id: 'HealthView' });
export type HealthView = z.output<typeof HealthView>;

/** What was read anew. */
export const ReloadView = z
  .object({ files: z.array(z.string()), problems: z.array(z.string()), vms: count })
  .register(VIEWS, { id: 'ReloadView' });
export type ReloadView = z.output<typeof ReloadView>;

/** Some of many, newest first; `next` goes into the next question as `before`, and is absent at the end. */
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next: z.string().exactOptional() });
export type { Page } from '../store/page.ts';
