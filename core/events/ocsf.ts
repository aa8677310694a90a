/**
 * Records as events of the Open Cybersecurity Schema Framework 1.6.0 (https://schema.ocsf.io/1.6.0/): pure
 * functions, one event each. Attributes with an enumeration carry its number (`status_id`) and its caption
 * (`status`); times are milliseconds since 1970.
 */
export { detectionFinding } from './detection-finding.ts';
export { remediation } from './remediation.ts';
export { type ScanOutcome, scanEnded, scanStarted } from './scan-activity.ts';
export { vaultState } from './vault-state.ts';
export { vmActionEvent } from './vm-action.ts';
