/**
 * Signatures by which a receiver knows who sent a request and that it is fresh: Standard Webhooks
 * (https://www.standardwebhooks.com), for which there are libraries in most languages.
 *
 *   webhook-id:        the same when the same events are sent again
 *   webhook-timestamp: seconds since 1970, of this try
 *   webhook-signature: v1,BASE64(HMAC-SHA-256(secret, "ID.TIMESTAMP.BODY"))
 *
 * BODY is what is sent, compressed or not. A secret `whsec_…` is the base64 of the key; any other is the key itself.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Secret } from '../../secret.ts';

const PREFIX = 'whsec_';

/** The id of a request that carries these events. */
export const requestId = (uids: readonly string[]): string =>
  `evt_${createHash('sha256').update(JSON.stringify(uids)).digest('hex').slice(0, 32)}`;

/** `seconds`: since 1970. */
export function signatureHeaders(
  id: string,
  seconds: number,
  body: Uint8Array,
  secret: Secret,
): Readonly<Record<string, string>> {
  const signature = createHmac('sha256', keyOf(secret))
    .update(`${id}.${seconds}.`)
    .update(body)
    .digest('base64');
  return { 'webhook-timestamp': String(seconds), 'webhook-signature': `v1,${signature}` };
}

function keyOf(secret: Secret): Buffer {
  const text = secret.reveal();
  return text.startsWith(PREFIX)
    ? Buffer.from(text.slice(PREFIX.length), 'base64')
    : Buffer.from(text, 'utf8');
}
