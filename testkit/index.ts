/** Published as `lazaret/testkit`: what every plugin keeps to, as tests for any runner. */
export * from './case.ts';
export * from './detector-suite.ts';
export * from './findings.ts';
export * from './patch-suite.ts';
export * from './remediation-suite.ts';
export * from './set-up.ts';
export * from './subjects.ts';
