/** What only the service has: its API, where events go, how guests are enrolled. */
import { TOKEN_LIFETIME } from '../enrolment/lifetime.ts';
import { bytes, duration } from './quantity.ts';
import {
  distinct,
  flag,
  hostPath,
  list,
  mapping,
  name,
  oneOf,
  pair,
  secret,
  text,
  wholeNumber,
} from './values.ts';

export const enrolment = mapping({
  mode: oneOf(['first-use', 'token', 'manual'])
    .default('first-use')
    .describe('Whom a guest must convince that it is met for the first time.'),
  tokenLifetime: duration({ least: TOKEN_LIFETIME.least, most: TOKEN_LIFETIME.most })
    .prefault('24h')
    .describe('How long a token may be used.'),
});

const role = () => oneOf(['viewer', 'operator', 'admin']);

const tls = mapping({
  certificate: hostPath().describe('A PEM file: the certificate, then those between it and its root.'),
  key: secret().describe('Its private key, PEM.'),
  clientCa: hostPath().optional().describe('A PEM file: who signs the certificates of clients.'),
});

const token = mapping({
  name: name().describe('Who has it; logs name it so.'),
  role: role().describe('What it may do: see, act upon VMs, or all.'),
  token: secret().describe('At least 32 characters, such as: openssl rand -hex 32.'),
});

const certificate = mapping({
  name: name().describe('Who has it; logs name it so.'),
  role: role().describe('What it may do: see, act upon VMs, or all.'),
  fingerprint: text(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal, 64 lower-case digits').describe(
    'SHA-256 over the certificate (DER).',
  ),
});

const port = () => wholeNumber(65_535);

const listen = mapping({
  host: text(/^[0-9A-Za-z.:_-]{1,253}$/, 'an address or a host name').describe('The address to listen on.'),
  port: port().describe('The port to listen on.'),
  tls: tls.describe('There is no listening without TLS.'),
  tokens: list(token)
    .superRefine(distinct(['name'], 'token'))
    .default([])
    .describe('Who may ask, by a bearer token.'),
  certificates: list(certificate)
    .superRefine(distinct(['name', 'fingerprint'], 'certificate'))
    .default([])
    .describe('Who may ask, by a client certificate.'),
});

const limits = mapping({
  bodyBytes: bytes().prefault('1MiB').describe('The largest body of a request, but for packs.'),
  packBytes: bytes()
    .prefault('128MiB')
    .describe('The largest pack that may be sent. There are none that are larger than 128MiB.'),
  requestsPerSecond: wholeNumber().default(1_000).describe('From one client.'),
  connections: wholeNumber()
    .default(256)
    .describe(
      'At once, on each socket that is listened on; another one takes the place of one that waits unknown.',
    ),
  connectionsFromOne: wholeNumber().default(64).describe('Of them, from one address of a client.'),
});

export const api = mapping({
  socket: hostPath()
    .default('/run/lazaret/lazaret.sock')
    .describe('The unix socket. Whoever can open it may do all: the user of lazaret and its group.'),
  listen: listen.optional().describe('Listen on TCP as well. Default: no.'),
  limits: limits.prefault({}).describe('Bounds on requests.'),
});

const file = mapping({
  path: hostPath().describe('The file; its directory must be writable for the user of lazaret.'),
  maxBytes: bytes().prefault('64MiB').describe('At this size it is rotated.'),
  keep: wholeNumber(1_000).default(10).describe('How many rotated files are kept.'),
  daily: flag().default(false).describe('It is rotated as well when a new day (UTC) begins.'),
});

const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
  ...['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
] as const;

const ca = () =>
  hostPath().optional().describe('A PEM file: who signs its certificate. Default: whom the system trusts.');

const ownCertificate = () =>
  hostPath().optional().describe('A PEM file: our certificate, where it asks for one; with its key.');

const ownKey = () => secret().optional().describe('The private key of our certificate, PEM.');

const syslog = mapping({
  address: text(
    /^(tcp|tls|udp):\/\/(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/,
    'an address such as tls://HOST:6514',
  ).describe('tcp://HOST:PORT, tls://HOST:PORT or udp://HOST:PORT.'),
  facility: oneOf(FACILITIES).default('local0').describe('The facility.'),
  ca: ca(),
  certificate: ownCertificate(),
  key: ownKey(),
  confirm: flag()
    .default(true)
    .describe('Events count as delivered when it has closed the connection. false: for one that never does.'),
}).superRefine(pair('certificate', 'key'));

const webhook = mapping({
  url: text(/^https:\/\/[^\s/]+(\/\S*)?$/, 'an https URL').describe('Where events are posted.'),
  token: secret().optional().describe('Sent as a bearer token.'),
  signingSecret: secret().optional().describe('Requests are signed with it, as Standard Webhooks has it.'),
  ca: ca(),
  certificate: ownCertificate(),
  key: ownKey(),
  gzip: flag().default(false).describe('Compress requests.'),
  batch: wholeNumber(1_000).default(100).describe('Events in one request at most.'),
}).superRefine(pair('certificate', 'key'));

const outbox = mapping({
  bytes: bytes()
    .prefault('256MiB')
    .describe('How much may wait while a receiver is down. When it is full, nothing is acted upon any more.'),
});

export const events = mapping({
  spool: outbox.prefault({}).describe('Events on their way, in the state directory.'),
  file: file.optional().describe('To a file, as lines of JSON.'),
  syslog: syslog.optional().describe('To a syslog server, as RFC 5424 has it.'),
  webhook: webhook.optional().describe('To a web server.'),
});

export const log = mapping({
  level: oneOf(['debug', 'info', 'warn']).default('info').describe('What is logged at least.'),
});
