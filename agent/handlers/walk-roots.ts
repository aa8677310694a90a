/**
 * The roots of a walk, what is left out below them, and where roots lead that are links (`follow.ts`). Where a root
 * leads is asked once: a walk that goes on from where another stood takes over what that one had found.
 */
import { decodeBytes, GuestPath, type InventoryRequest, type WireBytes } from '../../protocol/index.ts';
import type { Root } from '../linux/root.ts';
import { follow } from './follow.ts';

/** Where roots lead, in their order, as far as it was asked; null for one of which nothing is listed. */
export type Followed = readonly (WireBytes | null)[];

const SLASH = 0x2f;

export class WalkRoots {
  private readonly roots: readonly GuestPath[];
  private readonly excludes: ReadonlySet<string>;
  private readonly leads: (GuestPath | null)[];
  /** The root that is being listed where it leads: what is excluded by the one name is so by the other. */
  private alias: { readonly root: string; readonly target: string } | undefined;

  /** Throws ProtocolError when a path of the request cannot name anything. */
  constructor({ roots, excludes }: InventoryRequest, followed: Followed) {
    this.roots = roots.map((path) => withoutTail(GuestPath.of(path)));
    this.excludes = new Set(excludes.map((path) => keyOf(withoutTail(GuestPath.of(path)).bytes)));
    this.leads = followed.map((path) => (path === null ? null : GuestPath.of(decodeBytes(path))));
  }

  get followed(): Followed {
    return this.leads.map((path) => path?.wire ?? null);
  }

  get hasExcludes(): boolean {
    return this.excludes.size > 0;
  }

  at(index: number): GuestPath | undefined {
    return this.roots[index];
  }

  /** Where a root leads by what was found before; undefined when that was not asked. From here on it is at work. */
  known(index: number): GuestPath | null | undefined {
    const path = this.leads[index];
    this.alias = undefined;
    if (path) this.nameAlias(index, path);
    return path;
  }

  /** Nothing is listed of this root, or it is listed where it stands. */
  settle(index: number, path: GuestPath | null): void {
    this.leads[index] = path;
  }

  /**
   * Follows links on the way to a root; `isListed` is false where that is left out, or is a root by itself. Throws
   * SystemError and ProtocolError, and waits for file systems.
   */
  follow(
    index: number,
    root: Root,
  ): { readonly path: GuestPath; readonly isLink: boolean; readonly isListed: boolean } {
    const own = this.roots[index] as GuestPath;
    const path = follow(root, own);
    if (path.equals(withoutRepeats(own))) return { path: own, isLink: false, isListed: true };
    this.nameAlias(index, path);
    const others = [...this.leads, ...this.roots].filter((each) => each !== null);
    const isListed = !others.some((each) => each.equals(path)) && !this.isBelowExcluded(path.bytes);
    return { path, isLink: true, isListed };
  }

  isExcluded(path: Buffer): boolean {
    const key = keyOf(path);
    if (this.excludes.has(key)) return true;
    return (
      this.alias !== undefined && this.excludes.has(this.alias.root + key.slice(this.alias.target.length))
    );
  }

  private nameAlias(index: number, path: GuestPath): void {
    const root = this.roots[index] as GuestPath;
    if (path.equals(root)) return;
    const target = path.bytes.length === 1 ? '' : keyOf(path.bytes);
    this.alias = { root: keyOf(root.bytes), target };
  }

  /** A person who names a link does not say that what is excluded where it leads shall be looked at. */
  private isBelowExcluded(path: Buffer): boolean {
    for (let end = path.length; end > 0; end = path.lastIndexOf(SLASH, end - 1)) {
      if (this.isExcluded(path.subarray(0, end))) return true;
    }
    return this.isExcluded(Buffer.from('/'));
  }
}

/** The path without slashes at its end, of which `/` keeps one. */
function withoutTail(path: GuestPath): GuestPath {
  let end = path.bytes.length;
  while (end > 1 && path.bytes[end - 1] === SLASH) end--;
  return GuestPath.of(path.bytes.subarray(0, end));
}

/** As `follow` gives paths. */
function withoutRepeats(path: GuestPath): GuestPath {
  return GuestPath.of(Buffer.from(path.bytes.toString('latin1').replace(/\/{2,}/g, '/'), 'latin1'));
}

const keyOf = (path: Buffer): string => path.toString('latin1');
