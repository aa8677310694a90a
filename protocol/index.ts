/** The wire contract that host and agent share. `README.md` in this folder explains it. */
export * from './count.ts';
export * from './enrolment.ts';
export * from './error.ts';
export * from './instructions.ts';
export * from './json.ts';
export * from './limits.ts';
export * from './messages.ts';
export * from './numbers.ts';
export * from './openc2.ts';
export * from './path.ts';
export * from './records.ts';
export * from './resync.ts';
export * from './tls.ts';
