/** Signature files that come with vendors' packs; a plugin names the types that it takes (`Plugin.signatures`). */
export const SIGNATURE_TYPES = ['yara', 'hashset', 'clamav', 'ioc'] as const;
export type SignatureType = (typeof SIGNATURE_TYPES)[number];

export interface SignatureFile {
  readonly type: SignatureType;
  /** A host file to be read only. */
  readonly path: string;
  /** Its path within the pack. */
  readonly name: string;
  /** `vendor/id`. */
  readonly pack: string;
  readonly version: string;
}
