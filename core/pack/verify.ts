/** Whether a pack is what its vendor signed: nothing in it is looked at before its signature holds. */
import { createHash } from 'node:crypto';
import { type PackContent, readContent } from './content.ts';
import { PackError } from './error.ts';
import { MANIFEST, type Manifest, parseManifest, SIGNATURE } from './manifest.ts';
import { parsePublicKey, verifySignature } from './minisign.ts';

/** A key that signs the packs of one vendor. */
export interface TrustedKey {
  readonly vendor: string;
  /** The second line of a minisign public key file. */
  readonly key: string;
}

export interface VerifiedPack {
  readonly manifest: Manifest;
  /** SHA-256 of pack.json, and so of everything in the pack. */
  readonly digest: string;
  readonly content: PackContent;
  /** What the vendor said when it signed. */
  readonly trustedComment: string;
}

/** What a manifest of as many files as a pack may have takes, and more. */
const LARGEST_HEAD = 16 * 1024 * 1024;

/**
 * Reads and verifies the pack at `path`. It is gone through twice, and the first time nothing is held but the manifest
 * and its signature: a stranger's archive costs no memory, whatever is in it, and of a vendor's nothing is held that
 * is not in the manifest. What was read the second time is verified whole. Throws PackError: those of `readContent`
 * and of `verifyPack`.
 */
export async function readSigned(
  path: string,
  trusted: readonly TrustedKey[],
  now: number,
): Promise<VerifiedPack> {
  const { manifest } = verifyHead(await readContent(path, isHead), trusted);
  const sizes = new Map(manifest.files.map((file) => [file.path, file.size]));
  const content = await readContent(path, (file) => {
    if (isHead(file)) return true;
    const size = sizes.get(file.path);
    if (size === undefined) throw extraFile(file.path);
    if (size !== file.size) throw wrongHash(file.path);
    return true;
  });
  return verifyPack(content, trusted, now);
}

function isHead({ path, size }: { readonly path: string; readonly size: number }): boolean {
  if (path !== MANIFEST && path !== SIGNATURE) return false;
  if (size <= LARGEST_HEAD) return true;
  throw new PackError('too-large', `its ${path} is larger than any can be: get the pack again`);
}

/**
 * Throws PackError: `unsigned`, `bad-signature`, `untrusted-key`, those of `parseManifest`, `missing-file`,
 * `extra-file`, `wrong-hash`, `expired`.
 */
export function verifyPack(content: PackContent, trusted: readonly TrustedKey[], now: number): VerifiedPack {
  const { manifest, trustedComment } = verifyHead(content, trusted);
  checkFiles(manifest, content);
  checkExpiry(manifest, now);
  return { manifest, digest: sha256(manifestOf(content)), content, trustedComment };
}

function verifyHead(content: PackContent, trusted: readonly TrustedKey[]) {
  const bytes = manifestOf(content);
  const signature = signatureOf(content);
  verifySignature(
    trusted.map(({ key }) => parsePublicKey(key)),
    bytes,
    signature,
  );
  const manifest = parseManifest(bytes);
  return { manifest, trustedComment: checkSigner(manifest.vendor, content, trusted) };
}

/**
 * What the vendor said when it signed. Another vendor's key does not sign for it. Throws PackError: `unsigned`,
 * `bad-signature`, `untrusted-key`.
 */
export function checkSigner(vendor: string, content: PackContent, trusted: readonly TrustedKey[]): string {
  const keys = trusted.filter((one) => one.vendor === vendor).map(({ key }) => parsePublicKey(key));
  return verifySignature(keys, manifestOf(content), signatureOf(content));
}

/** A pack that is trusted for where it lies, not for a signature. Throws as `verifyPack` does for the rest. */
export function verifyUnsigned(content: PackContent): VerifiedPack {
  const bytes = manifestOf(content);
  const manifest = parseManifest(bytes);
  checkFiles(manifest, content);
  return { manifest, digest: sha256(bytes), content, trustedComment: '' };
}

function manifestOf(content: PackContent): Buffer {
  const bytes = content.get(MANIFEST);
  if (bytes) return bytes;
  throw new PackError('malformed', `it has no ${MANIFEST} at its top: it is not a pack`);
}

function signatureOf(content: PackContent): Buffer {
  const bytes = content.get(SIGNATURE);
  if (bytes) return bytes;
  throw new PackError(
    'unsigned',
    `it has no ${SIGNATURE}: its vendor signs it with minisign -S -m ${MANIFEST}`,
  );
}

function checkFiles(manifest: Manifest, content: PackContent): void {
  const listed = new Set(manifest.files.map(({ path }) => path));
  for (const path of content.keys()) {
    if (listed.has(path) || path === MANIFEST || path === SIGNATURE) continue;
    throw extraFile(path);
  }
  for (const { path, sha256: expected, size } of manifest.files) {
    const bytes = content.get(path);
    if (!bytes) throw new PackError('missing-file', `${path} is missing: get the pack again`);
    if (bytes.length === size && sha256(bytes) === expected) continue;
    throw wrongHash(path);
  }
}

const extraFile = (path: string): PackError =>
  new PackError('extra-file', `${path} is not in its manifest: get the pack again`);

const wrongHash = (path: string): PackError =>
  new PackError('wrong-hash', `${path} is not as its manifest says: get the pack again`);

function checkExpiry({ expires }: Manifest, now: number): void {
  if (Date.parse(expires) > now) return;
  throw new PackError('expired', `it expired on ${expires}: get a newer release of it`);
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
