/**
 * Signatures in minisign's format (https://jedisct1.github.io/minisign/). A signature file has four lines: an
 * untrusted comment; base64 of algorithm (2 bytes), key id (8), Ed25519 signature (64); `trusted comment: `
 * and that comment; base64 of a second, global signature over the first signature and the trusted comment.
 * Algorithm `ED` signs the BLAKE2b-512 digest of the file, the legacy `Ed` the file itself. A public key is
 * `Ed`, key id, 32 bytes of key. An unencrypted secret key is `Ed`, two zero bytes instead of a key derivation,
 * `B2`, 48 bytes for that derivation, key id, seed (32), public key (32), and a checksum.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { PackError } from './error.ts';

const ALGORITHM = 2;
const KEY_ID = 8;
const SIGNATURE = 64;
const PUBLIC_KEY = 32;
const SEED_AT = 62;
const SECRET_KEY = 158;
const TRUSTED = 'trusted comment: ';
const LONGEST = 8192;

export interface MinisignKey {
  /** As minisign shows it: 16 hexadecimal digits. */
  readonly id: string;
  readonly key: KeyObject;
}

interface Signature {
  readonly prehashed: boolean;
  readonly keyId: string;
  readonly bytes: Buffer;
  readonly trustedComment: string;
  readonly global: Buffer;
}

/** The last line of a `.pub` file, or a whole one. Throws PackError `bad-key`. */
export function parsePublicKey(text: string): MinisignKey {
  const bytes = decode(text.trim().split('\n').at(-1) ?? '');
  const fits = bytes?.length === ALGORITHM + KEY_ID + PUBLIC_KEY && bytes.toString('latin1', 0, 2) === 'Ed';
  if (!fits) {
    throw new PackError(
      'bad-key',
      "this is no minisign public key: give the second line of the vendor's .pub file",
    );
  }
  const x = bytes.subarray(ALGORITHM + KEY_ID).toString('base64url');
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  return { id: keyId(bytes.subarray(ALGORITHM)), key };
}

/** The text of a secret key without a password (`minisign -G -W`). Throws PackError `bad-key`. */
export function parseSecretKey(text: string): MinisignKey {
  const bytes = decode(text.trim().split('\n').at(-1) ?? '');
  if (bytes?.length !== SECRET_KEY || bytes.toString('latin1', 0, 2) !== 'Ed') {
    throw new PackError('bad-key', 'this is no minisign secret key: make one with minisign -G -W');
  }
  if (bytes.readUInt16LE(2) !== 0) {
    throw new PackError(
      'bad-key',
      'this secret key has a password: sign with minisign -S -m pack.json, then build again without --key',
    );
  }
  const jwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    d: bytes.subarray(SEED_AT, SEED_AT + 32).toString('base64url'),
    x: bytes.subarray(SEED_AT + 32, SEED_AT + 64).toString('base64url'),
  };
  return {
    id: keyId(bytes.subarray(SEED_AT - KEY_ID)),
    key: createPrivateKey({ key: jwk, format: 'jwk' }),
  };
}

/** A new key, which nothing keeps, and its public half as `parsePublicKey` takes it. */
export function generateKey(): { readonly secret: MinisignKey; readonly trusted: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const id = randomBytes(KEY_ID);
  const bytes = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const trusted = Buffer.concat([Buffer.from('Ed'), id, bytes]).toString('base64');
  return { secret: { id: keyId(id), key: privateKey }, trusted };
}

/** The text of a signature file, prehashed as minisign does it today. */
export function signWith({ id, key }: MinisignKey, message: Buffer, trustedComment: string): string {
  const head = Buffer.concat([Buffer.from('ED'), Buffer.from(id, 'hex').reverse()]);
  const signature = sign(null, digest(message), key);
  const global = sign(null, Buffer.concat([signature, Buffer.from(trustedComment)]), key);
  return [
    `untrusted comment: signature by the key ${id}`,
    Buffer.concat([head, signature]).toString('base64'),
    `${TRUSTED}${trustedComment}`,
    `${global.toString('base64')}\n`,
  ].join('\n');
}

/**
 * The trusted comment of a good signature by one of `keys`. Throws PackError: `bad-signature`; `untrusted-key`
 * when none of them made it.
 */
export function verifySignature(
  keys: readonly MinisignKey[],
  message: Buffer,
  signatureFile: Buffer,
): string {
  const signature = parseSignature(signatureFile);
  // Ids are what the makers of keys say: two vendors can have the same one.
  const signers = keys.filter(({ id }) => id === signature.keyId);
  if (signers.length === 0) {
    throw new PackError(
      'untrusted-key',
      `it is signed by the key ${signature.keyId}, which is not trusted for this vendor: if it should be, add it to packs.trusted`,
    );
  }
  const { bytes, trustedComment, global, prehashed } = signature;
  const signed = prehashed ? digest(message) : message;
  const commented = Buffer.concat([bytes, Buffer.from(trustedComment)]);
  const isGood = ({ key }: MinisignKey): boolean =>
    verify(null, signed, key, bytes) && verify(null, commented, key, global);
  if (signers.some(isGood)) return trustedComment;
  throw new PackError(
    'bad-signature',
    'its signature does not fit: pack.json or the signature was changed; get the pack again',
  );
}

function parseSignature(file: Buffer): Signature {
  if (file.length > LONGEST) throw notASignature();
  const [untrusted = '', first = '', comment = '', last = '', ...rest] = file
    .toString('utf8')
    .replace(/\n$/, '')
    .split('\n');
  const bytes = decode(first);
  const global = decode(last);
  const algorithm = bytes?.toString('latin1', 0, ALGORITHM);
  if (
    rest.length > 0 ||
    !untrusted.startsWith('untrusted comment: ') ||
    !comment.startsWith(TRUSTED) ||
    bytes?.length !== ALGORITHM + KEY_ID + SIGNATURE ||
    global?.length !== SIGNATURE ||
    (algorithm !== 'ED' && algorithm !== 'Ed')
  ) {
    throw notASignature();
  }
  return {
    prehashed: algorithm === 'ED',
    keyId: keyId(bytes.subarray(ALGORITHM)),
    bytes: bytes.subarray(ALGORITHM + KEY_ID),
    trustedComment: comment.slice(TRUSTED.length),
    global,
  };
}

const notASignature = (): PackError =>
  new PackError('bad-signature', 'pack.json.minisig is no minisign signature: get the pack again');

const digest = (message: Buffer): Buffer => createHash('blake2b512').update(message).digest();

/** minisign shows key ids as little-endian numbers. */
const keyId = (bytes: Buffer): string =>
  Buffer.from(bytes.subarray(0, KEY_ID)).reverse().toString('hex').toUpperCase();

/** Base64 in its one canonical spelling, so that no byte of a signature can be changed without notice. */
function decode(line: string): Buffer | undefined {
  const bytes = Buffer.from(line, 'base64');
  return bytes.toString('base64') === line ? bytes : undefined;
}
