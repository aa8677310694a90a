/** What detectors look at. Everything in it came from a guest: treat text as bytes that somebody chose. */

/** A file's metadata, as the guest reported it. Times are seconds since 1970 with nine decimals. */
export interface FileFacts {
  /** Escaped for display: printable UTF-8 stands for itself, every other byte as `\xNN`, a backslash doubled. */
  readonly path: string;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: string;
}

export type DigestName = 'sha256' | 'sha1' | 'md5';

/** What is kept of a content when the content itself is gone. */
export interface ContentSummary {
  readonly size: number;
  /** Its first 32 bytes, or all of a shorter one. */
  readonly head: Uint8Array;
  /** Lower-case hex. */
  readonly digests: Readonly<Partial<Record<DigestName, string>> & { sha256: string }>;
}

/** A file whose content lies on the host. One subject stands for one content, whatever its names. */
export interface FileSubject {
  readonly kind: 'file';
  readonly id: string;
  /** A host file to be read only, valid until the detector has answered for this subject. */
  readonly content: string;
  readonly size: number;
  /** Lower-case hex, computed on the host: SHA-256 always, others where a detector asked for them. */
  readonly digests: Readonly<Partial<Record<DigestName, string>> & { sha256: string }>;
  /** The first name under which this content was met. */
  readonly facts: FileFacts;
}

export interface ProcessSubject {
  readonly kind: 'process';
  readonly id: string;
  readonly pid: number;
  readonly uid: number;
  readonly name: string;
  readonly commandLine: readonly string[];
  /** The container that it is in, where one is known; a claim of the guest's, as all else. */
  readonly container?: { readonly runtime: string; readonly id: string };
  readonly executable?: {
    readonly path: string;
    /** It has no name any more. */
    readonly deleted: boolean;
    /** It never had one (memfd_create). */
    readonly inMemory: boolean;
    /** What was found in its content in this scan; absent when it was not scanned. */
    readonly detections?: readonly Detection[];
  };
}

export type Subject = FileSubject | ProcessSubject;

/** What is known of a subject before anything is fetched for it. */
export type Prospect = { readonly kind: 'file'; readonly facts: FileFacts } | { readonly kind: 'process' };

export type Judgement = 'malicious' | 'suspicious';

/** One engine's statement about one subject. */
export interface Detection {
  readonly judgement: Judgement;
  /** The signature, rule or reason that matched, at most 200 characters. */
  readonly name: string;
  /** Where that signature stands: a rule file, a list. */
  readonly source?: string;
  /** One sentence for a person. */
  readonly description?: string;
  /** MITRE ATT&CK techniques, such as T1620. */
  readonly attack?: readonly string[];
}

export const UNSCANNED_REASONS = [
  'vanished',
  'unreadable',
  'not-regular',
  'too-large',
  'grew',
  'shrank',
  'io-error',
  'unresponsive',
  'deadline',
  'engine-failed',
  'engine-limit',
  'no-answer',
  'cancelled',
  'spool-full',
  'channel-lost',
  /** What was found could not be written down: the disk is full. */
  'not-recorded',
] as const;
export type UnscannedReason = (typeof UNSCANNED_REASONS)[number];

/** Something that a file has the guest start by itself: at boot, at a login, at a time. */
export interface Start {
  /** What is started, escaped as in `FileFacts.path`. Without a slash: the kernel module of that name. */
  readonly path: string;
  /** MITRE ATT&CK technique, such as T1053.003. */
  readonly technique: string;
  /** The line that says so, from 1. */
  readonly line?: number;
  /** The file is there for other things too, which would be lost with it. */
  readonly shared?: boolean;
}

/**
 * A detector's answer for one subject: it finished and says what it found, or it did not finish. A file that
 * starts something that turns out to be malicious is found with it, without a detection of its own.
 */
export type Answer =
  | {
      readonly subject: string;
      readonly detections: readonly Detection[];
      readonly starts?: readonly Start[];
    }
  | { readonly subject: string; readonly unscanned: UnscannedReason; readonly detail?: string };
