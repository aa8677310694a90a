/** All that a plugin may import: `import { definePlugin } from 'lazaret/plugin'`. */
export type { ActingInstruction, FileTarget, InstructionName, ProcessTarget } from '../../protocol/index.ts';
export { ACTING, displayBytes, parseDisplayed } from '../../protocol/index.ts';
export * from './confine.ts';
export * from './detector.ts';
export * from './error.ts';
export * from './file-tree.ts';
export * from './memory-watch.ts';
export * from './patch.ts';
export * from './plugin.ts';
export * from './remediation.ts';
export * from './signature.ts';
export * from './subject.ts';
