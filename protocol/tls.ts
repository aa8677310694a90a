/**
 * What both sides ask of TLS (RFC 8446): version 1.3 and nothing else, HTTP/2 inside (ALPN `h2`). Certificates
 * are self-signed and carry a P-256 key; each side knows the other by that key (SHA-256 of its SPKI in DER),
 * never by a name or an issuer.
 *
 * AES-128-GCM stands first because it costs a guest the least; a guest without AES instructions may put
 * ChaCha20 first.
 */
export const TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
  alpn: 'h2',
} as const;
