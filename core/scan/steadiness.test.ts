import { describe, expect, it } from 'vitest';
import type { Features } from '../../protocol/index.ts';
import { vm } from '../../test/records.ts';
import { Steadiness } from './steadiness.ts';

const MINUTE = 60_000;
const NOW = 1_800_000_000_000;

function steadiness(mounts: Readonly<Record<string, string>>, clock: number | undefined = NOW): Steadiness {
  const features = vm().features as Features;
  const { clock: _, ...told } = features['x-lazaret'];
  const fileSystems = Object.entries(mounts).map(([path, type]) => ({ path, type }));
  const facts = { ...told, fileSystems, ...(clock !== undefined && { clock }) };
  return new Steadiness({ ...features, 'x-lazaret': facts }, MINUTE);
}

const at = (seconds: number): string => `${NOW / 1000 - seconds}.000000000`;

describe('whether metadata can stand for content', () => {
  it.each([
    ['/usr/bin', true],
    ['/', true],
    ['/run', false],
    ['/run/user/1000', false],
    // A name that begins like a mount point is none.
    ['/runner', true],
    ['/run/data/x', true],
    ['/mnt/share/deep', false],
  ])('depends on what %s lies on', (directory, sound) => {
    const own = steadiness({ '/': 'ext4', '/run': 'tmpfs', '/run/data': 'xfs', '/mnt/share': 'fuse.sshfs' });
    expect(own.isSound(Buffer.from(directory), directory)).toBe(sound);
  });

  it('remembers so many devices, however many a guest names', () => {
    const own = steadiness({ '/': 'ext4', '/run': 'tmpfs' });
    for (let dev = 0; dev < 5_000; dev++) expect(own.isSound(Buffer.from('/bin'), String(dev))).toBe(true);
    expect(own.devicesHeld).toBeLessThanOrEqual(1_024);
  });

  it('is never assumed where no mount is told of', () => {
    expect(steadiness({}).isSound(Buffer.from('/'), '1')).toBe(false);
  });

  it('asks once for each device, whatever the path', () => {
    const own = steadiness({ '/': 'ext4', '/tmp': 'tmpfs' });
    expect(own.isSound(Buffer.from('/tmp'), '2')).toBe(false);
    expect(own.isSound(Buffer.from('/elsewhere'), '2')).toBe(false);
  });

  it('needs a ctime older than the settling time, by the clock of the guest', () => {
    const own = steadiness({ '/': 'ext4' });
    expect(own.isOld(at(61))).toBe(true);
    expect(own.isOld(at(59))).toBe(false);
    expect(own.isOld(at(-1000))).toBe(false);
  });

  it('is never assumed of an agent that does not tell the time', () => {
    const { 'x-lazaret': told, ...features } = vm().features as Features;
    const { clock: _, ...clockless } = told;
    const own = new Steadiness({ ...features, 'x-lazaret': clockless }, MINUTE);
    expect(own.isOld('1.000000000')).toBe(false);
  });
});
