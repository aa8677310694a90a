/** Who may ask for what: the one table of all routes. A route that does not stand here is not served. */

/** Each may what those before it may. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** `anyone`: without a token as well. On the unix socket everyone who may open it is admin. */
export const ACCESS = {
  'GET /livez': 'anyone',
  'GET /readyz': 'viewer',
  'GET /metrics': 'viewer',
  'GET /v1/openapi.json': 'viewer',

  'GET /v1/vms': 'viewer',
  'GET /v1/vms/:vm': 'viewer',
  'POST /v1/vms/:vm/start': 'operator',
  'POST /v1/vms/:vm/stop': 'operator',
  'POST /v1/vms/:vm/pause': 'operator',
  'POST /v1/vms/:vm/resume': 'operator',
  'POST /v1/vms/:vm/destroy': 'admin',
  'POST /v1/vms/:vm/attach': 'admin',
  'POST /v1/vms/:vm/detach': 'admin',
  'POST /v1/vms/:vm/snapshots': 'operator',
  'POST /v1/vms/:vm/revert': 'admin',

  'GET /v1/scans': 'viewer',
  'POST /v1/scans': 'operator',
  'GET /v1/scans/:id': 'viewer',
  'GET /v1/scans/:id/events': 'viewer',
  'POST /v1/scans/:id/cancel': 'operator',

  'GET /v1/findings': 'viewer',
  'GET /v1/actions': 'viewer',
  'GET /v1/vm-actions': 'viewer',
  'GET /v1/quarantine': 'viewer',
  'POST /v1/quarantine/:id/restore': 'operator',
  'DELETE /v1/quarantine/:id': 'admin',

  'GET /v1/packs': 'viewer',
  'POST /v1/packs': 'admin',
  'POST /v1/packs/:vendor/:id/rollback': 'admin',
  'POST /v1/patches': 'admin',

  'GET /v1/enrolments': 'viewer',
  'POST /v1/enrolments/:vm/token': 'admin',
  'POST /v1/enrolments/:vm/accept': 'admin',
  'DELETE /v1/enrolments/:vm': 'admin',

  'POST /v1/reload': 'admin',
} as const satisfies Record<string, Role | 'anyone'>;

export type RouteKey = keyof typeof ACCESS;

/** Who asks. */
export interface Identity {
  /** As configured: it stands in the log. */
  readonly name: string;
  readonly role: Role;
}

/** Whether `role` is enough for a route. */
export const mayUse = (role: Role, needed: Role | 'anyone'): boolean =>
  needed === 'anyone' || ROLES.indexOf(role) >= ROLES.indexOf(needed);

/** What changes something, or tells a secret: each such request is logged. */
export const isPrivileged = (key: RouteKey): boolean =>
  mayUse('admin', ACCESS[key]) && !mayUse('viewer', ACCESS[key]);
