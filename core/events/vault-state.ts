/**
 * Application Error [6008]: https://schema.ocsf.io/1.6.0/classes/application_error, for what Lazaret itself cannot do:
 * the vault takes no more files of a VM. That it does again has no activity there, so it is Other, by its own name.
 */
import { displayText } from '../../protocol/index.ts';
import type { VmRecord } from '../store/records.ts';
import { type Enumerated, enumerated, eventOf, SEVERITY } from './envelope.ts';
import { deviceObject } from './objects.ts';
import type { OcsfEvent } from './sink.ts';

const CATEGORY: Enumerated = [6, 'Application Activity'];
const CLASS: Enumerated = [6008, 'Application Error'];
const GENERAL_ERROR: Enumerated = [1, 'General Error'];
const OVER: Enumerated = [99, 'Over'];
const SUCCESS: Enumerated = [1, 'Success'];
const FAILURE: Enumerated = [2, 'Failure'];

/** `whyFull` is absent when files of the VM are taken again. */
export function vaultState(vm: VmRecord, whyFull: string | undefined, time: number): OcsfEvent {
  const isFull = whyFull !== undefined;
  const does = isFull ? 'are not contained: the vault takes no more of it' : 'are contained again';
  return eventOf(
    {
      category: CATEGORY,
      class: CLASS,
      activity: isFull ? GENERAL_ERROR : OVER,
      severity: isFull ? SEVERITY.medium : SEVERITY.informational,
      time,
      profiles: ['host'],
      message: `files of ${displayText(vm.name)} ${does}`,
    },
    {
      device: deviceObject(vm),
      ...enumerated('status', isFull ? FAILURE : SUCCESS),
      status_code: isFull ? 'vault-full' : 'vault-open',
      ...(isFull && { status_detail: whyFull }),
    },
  );
}
