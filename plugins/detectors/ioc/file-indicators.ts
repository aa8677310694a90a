import { compileGlob, type Glob } from './glob.ts';
import type { Indicator } from './indicators.ts';

/** Whether an indicator is tried on one subject after the other, and not looked up. */
export const isTried = ({ type, value }: Indicator): boolean =>
  type === 'sha256' ? false : type === 'path' || type === 'file-name' ? value.includes('*') : true;

/**
 * Indicators that files are known by. Asked of every file of a guest: names and hashes without a star are found
 * by look-up, however many there are; only patterns are tried one by one.
 */
export class FileIndicators {
  readonly hasHashes: boolean;
  private readonly exact = { path: byValue(), 'file-name': byValue(), sha256: byValue() };
  private readonly globs: {
    readonly of: 'path' | 'file-name';
    readonly glob: Glob;
    readonly indicator: Indicator;
  }[] = [];

  constructor(indicators: readonly Indicator[]) {
    for (const indicator of indicators) {
      const { type, value } = indicator;
      if (type === 'process-name' || type === 'command-line') continue;
      if (type !== 'sha256' && isTried(indicator)) {
        this.globs.push({ of: type, glob: compileGlob(value), indicator });
        continue;
      }
      const same = this.exact[type].get(value);
      if (same) same.push(indicator);
      else this.exact[type].set(value, [indicator]);
    }
    this.hasHashes = this.exact.sha256.size > 0;
  }

  /** Those that know a file by its path. */
  byPath(path: string): Indicator[] {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const matching = this.globs.filter(({ of, glob }) => glob(of === 'path' ? path : name));
    return [
      ...(this.exact.path.get(path) ?? []),
      ...(this.exact['file-name'].get(name) ?? []),
      ...matching.map(({ indicator }) => indicator),
    ];
  }

  byHash(sha256: string): readonly Indicator[] {
    return this.exact.sha256.get(sha256) ?? [];
  }
}

const byValue = (): Map<string, Indicator[]> => new Map();
