/**
 * Shannon's entropy of the bytes, in bits per byte: 0 when all are the same, 8 when every value is as likely as any
 * other, as in what was compressed or encrypted. Machine code has about 6.
 *
 * @param {Uint8Array} bytes
 */
export function entropyOf(bytes) {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1;
  let bits = 0;
  for (const count of counts) if (count > 0) bits -= (count / bytes.length) * Math.log2(count / bytes.length);
  return bits;
}
