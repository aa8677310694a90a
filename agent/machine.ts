/** What the machine says of itself. */
import { readFileSync } from 'node:fs';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The firmware's UUID, lower case; undefined in a container, and for a user who may not read it. */
export const smbiosUuid = (): string | undefined =>
  readWord('/sys/class/dmi/id/product_uuid', UUID)?.toLowerCase();

export const machineId = (): string | undefined => readWord('/etc/machine-id', /^[0-9a-f]{32}$/);

export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();

export const isUuid = (text: string): boolean => UUID.test(text);

/** Undefined when there is no such file, it may not be read, or it holds something else. */
function readWord(path: string, form: RegExp): string | undefined {
  try {
    const word = readFileSync(path, 'latin1').trim();
    return form.test(word) ? word : undefined;
  } catch {
    // A container has no firmware, an image before its first boot no machine id.
    return undefined;
  }
}
