/** A file of the guest as it stands now. */
export interface GuestFile {
  readonly content: Buffer;
  readonly sha256: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** What a patch may do to look: read files of the guest, as the channel delivers them now. */
export interface GuestReader {
  /** The file, or undefined when there is none. Rejects when it is there and cannot be read. */
  readFile(path: string): Promise<GuestFile | undefined>;
}

/** One file to be replaced, created (`before` undefined) or removed (`after` undefined). */
export interface FileChange {
  readonly path: string;
  readonly before: GuestFile | undefined;
  readonly after: Buffer | undefined;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** `applicable`: the changes to make, in order. `satisfied`: nothing is to be done. `refused`: why not. */
export type PatchPlan =
  | { readonly state: 'applicable'; readonly changes: readonly FileChange[] }
  | { readonly state: 'satisfied' }
  | { readonly state: 'refused'; readonly reason: string };

/** One bundle, read and checked. */
export interface Patch {
  readonly id: string;
  readonly title: string;
  plan(guest: GuestReader): Promise<PatchPlan>;
  /** Looks again after the changes were made; the problems found, none when all is well. Any problem rolls all changes back. */
  verify(guest: GuestReader): Promise<readonly string[]>;
}

export interface PatchSource {
  /** Reads a bundle; undefined when it is not of this plugin's kind; throws PluginError `bad-bundle`. */
  load(path: string): Promise<Patch | undefined>;
}
