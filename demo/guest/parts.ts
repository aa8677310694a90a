/**
 * What a real guest needs of the machine: an emulator, a kernel with its modules, a static busybox and
 * mke2fs. Nothing of it is downloaded here: what is missing is named, with how to get it.
 */
import { accessSync, constants, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface GuestParts {
  readonly qemu: string;
  /** The kernel image. */
  readonly kernel: string;
  /** The folder of that very kernel's modules: lib/modules/RELEASE. */
  readonly modules: string;
  readonly busybox: string;
  readonly mke2fs: string;
  readonly debugfs: string;
  readonly setpriv: string;
}

export interface MissingPart {
  readonly what: string;
  readonly get: string;
}

export type FoundParts =
  | { readonly parts: GuestParts; readonly missing?: undefined }
  | { readonly parts?: undefined; readonly missing: readonly [MissingPart, ...MissingPart[]] };

/** Where `.ci/run` unpacks the kernel of Debian's cloud image. */
export const kernelCache = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lazaret', 'kernel');

export function findGuestParts(): FoundParts {
  const qemu = findProgram('qemu-system-x86_64');
  const busybox = findProgram('busybox');
  const mke2fs = findProgram('mke2fs');
  const debugfs = findProgram('debugfs');
  const setpriv = findProgram('setpriv');
  const kernel = findKernel();
  if (qemu && busybox && mke2fs && debugfs && setpriv && kernel) {
    return { parts: { qemu, busybox, mke2fs, debugfs, setpriv, ...kernel } };
  }
  const missing: MissingPart[] = [];
  const lack = (there: unknown, what: string, get: string): void => {
    if (!there) missing.push({ what, get });
  };
  lack(qemu, 'qemu-system-x86_64', 'apt-get install qemu-system-x86');
  lack(busybox, 'busybox', 'apt-get install busybox-static');
  lack(mke2fs && debugfs, 'mke2fs and debugfs', 'apt-get install e2fsprogs');
  lack(setpriv, 'setpriv', 'apt-get install util-linux');
  lack(
    kernel,
    'a readable kernel with its modules',
    `apt-get install linux-image-cloud-amd64, or unpack that package (apt-get download, dpkg -x) into ${kernelCache()}, or name a folder with boot/ and lib/modules/ in LAZARET_KERNEL_DIR`,
  );
  return { missing: missing as [MissingPart, ...MissingPart[]] };
}

/** What it takes to see whether KVM runs (`accelerator.ts`); undefined when something of it is missing. */
export function findProbeParts(): Pick<GuestParts, 'qemu' | 'setpriv'> | undefined {
  const qemu = findProgram('qemu-system-x86_64');
  const setpriv = findProgram('setpriv');
  return qemu && setpriv ? { qemu, setpriv } : undefined;
}

function findProgram(name: string): string | undefined {
  const directories = (process.env.PATH ?? '').split(delimiter).concat('/usr/sbin', '/sbin');
  return directories
    .map((directory) => join(directory, name))
    .find((path) => isAccessible(path, constants.X_OK));
}

/** The newest kernel that can be read and has its modules beside it. */
function findKernel(): { kernel: string; modules: string } | undefined {
  const places = [process.env.LAZARET_KERNEL_DIR, kernelCache(), '/'].filter((place) => place !== undefined);
  for (const place of places) {
    const releases = list(join(place, 'lib', 'modules')).toSorted((a, b) =>
      b.localeCompare(a, 'en', { numeric: true }),
    );
    for (const release of releases) {
      const kernel = join(place, 'boot', `vmlinuz-${release}`);
      if (isAccessible(kernel, constants.R_OK)) {
        return { kernel, modules: join(place, 'lib', 'modules', release) };
      }
    }
  }
  return undefined;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
