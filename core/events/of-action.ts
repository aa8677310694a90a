import type { OcsfEvent } from './sink.ts';

/** OCSF's category of remediations: `class_uid` is 1000 times the category, and a number within it. */
const REMEDIATION = 7;

/** Whether an event tells what was done in a guest. */
export const isOfAction = ({ class_uid }: Pick<OcsfEvent, 'class_uid'>): boolean =>
  Math.floor(class_uid / 1000) === REMEDIATION;
