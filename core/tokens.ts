/**
 * The names under which the composition root (`container.ts`) hands things out. Constructors ask by these
 * names (`@inject(TOKENS.x)`), and nothing else ever asks the container.
 */
export const TOKENS = {
  settings: Symbol('settings'),
  logger: Symbol('logger'),
  clock: Symbol('clock'),
  events: Symbol('events'),
  identity: Symbol('identity'),
  plugins: Symbol('plugins'),
  packs: Symbol('packs'),
  spool: Symbol('spool'),
  known: Symbol('known'),
  vms: Symbol('vms'),
  enrolments: Symbol('enrolments'),
  enrolmentDesk: Symbol('enrolmentDesk'),
  liveKeys: Symbol('liveKeys'),
  scans: Symbol('scans'),
  findings: Symbol('findings'),
  patches: Symbol('patches'),
  patchApplier: Symbol('patchApplier'),
  executor: Symbol('executor'),
  vault: Symbol('vault'),
  quarantine: Symbol('quarantine'),
  onAnswered: Symbol('onAnswered'),
  /** Opens the session of one VM, in a child container of its own. */
  openSession: Symbol('openSession'),
  /** Only in a VM's session: the guest, and what was learnt of it. */
  guest: Symbol('guest'),
  neverTouch: Symbol('neverTouch'),
} as const;
