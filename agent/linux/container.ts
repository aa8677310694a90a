/**
 * The container that a process is in, from its control group (/proc/PID/cgroup, cgroups(7)). Runtimes put the id
 * of a container, 64 hexadecimal digits, or its name into the path of the group:
 *
 *   docker, podman, CRI-O, containerd under systemd   docker-ID.scope · libpod-ID.scope · crio-ID.scope ·
 *                                                     cri-containerd-ID.scope · nerdctl-ID.scope
 *   the same without systemd                          /docker/ID · /libpod_parent/libpod-ID · /kubepods/…/podUID/ID
 *   LXC                                               /lxc.payload.NAME · /lxc/NAME
 *   systemd-nspawn                                    machine.slice/systemd-nspawn@NAME.service · machine-NAME.scope
 *
 * It is for a person to read: a user can name groups of his own so as well, and nothing rests upon it. The image is
 * not told: it stands in files of each runtime's own.
 */
import { readFileSync } from 'node:fs';
import { errnoOf } from './error.ts';

export interface Container {
  readonly runtime: string;
  readonly id: string;
}

const FORMS: readonly (readonly [runtime: string | undefined, form: RegExp])[] = [
  [undefined, /^(docker|cri-containerd|crio|libpod|nerdctl)-([0-9a-f]{64})(?:\.scope)?$/],
  ['lxc', /^lxc\.payload\.([\w.:-]{1,64})$/],
  ['systemd-nspawn', /^systemd-nspawn@([\w.:\\-]{1,64})\.service$/],
  ['systemd-nspawn', /^machine-([\w.:\\-]{1,64})\.scope$/],
];
const BARE_ID = /^[0-9a-f]{64}$/;
const NAME = /^[\w.:-]{1,64}$/;

/** Undefined when it is in none that is known, or that may not be read. */
export function containerOf(pid: number): Container | undefined {
  try {
    return parseCgroup(readFileSync(`/proc/${pid}/cgroup`, 'latin1'));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Lines of `HIERARCHY:CONTROLLERS:PATH`. The innermost container counts: one can run within another. */
export function parseCgroup(text: string): Container | undefined {
  for (const line of text.split('\n')) {
    const names = line.split(':').slice(2).join(':').split('/');
    for (let at = names.length - 1; at > 0; at--) {
      const found = named(names[at] ?? '') ?? placed(names[at - 1] ?? '', names[at] ?? '', names);
      if (found) return found;
    }
  }
  return undefined;
}

function named(name: string): Container | undefined {
  for (const [runtime, form] of FORMS) {
    const [, first, second] = form.exec(name) ?? [];
    if (first === undefined) continue;
    return runtime === undefined
      ? { runtime: first, id: second ?? '' }
      : { runtime, id: withoutEscapes(first) };
  }
  return undefined;
}

/** A group whose name says nothing by itself, but by the groups above it. */
function placed(above: string, name: string, all: readonly string[]): Container | undefined {
  if (above === 'lxc' && NAME.test(name)) return { runtime: 'lxc', id: name };
  if (!BARE_ID.test(name)) return undefined;
  if (above === 'docker') return { runtime: 'docker', id: name };
  return { runtime: all.includes('kubepods') ? 'kubernetes' : 'unknown', id: name };
}

/** systemd writes bytes that mean something to it as `\xNN` in the names of units. */
const withoutEscapes = (name: string): string =>
  name.replaceAll(/\\x([2-7][0-9a-f])/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
