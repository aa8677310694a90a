import type { Settings } from '../config/index.ts';
import type { EventOutlet } from '../events/outbox/outlet.ts';
import { fileOutlet } from '../events/outlets/file.ts';
import { syslogOutlet } from '../events/outlets/syslog.ts';
import type { TlsFiles } from '../events/outlets/tls-files.ts';
import { webhookOutlet } from '../events/outlets/webhook.ts';
import { type SecretPlace, secretFile } from './secret-place.ts';

const MOST_BATCH_BYTES = 2 ** 20;

/** Where the configuration has events go. Throws DeliveryError or ConfigError. */
export function outletsOf({ file, syslog, webhook }: Settings['events']): EventOutlet[] {
  return [
    ...(file ? [fileOutlet(file)] : []),
    ...(syslog ? [syslogOf(syslog)] : []),
    ...(webhook ? [webhookOf(webhook)] : []),
  ];
}

type Events = Settings['events'];

function syslogOf({ certificate, key, ...rest }: NonNullable<Events['syslog']>): EventOutlet {
  return syslogOutlet({ ...withoutUndefined(rest), ...ownFiles(certificate, key) });
}

function webhookOf(settings: NonNullable<Events['webhook']>): EventOutlet {
  const { token, signingSecret, certificate, key, batch, ...rest } = settings;
  return webhookOutlet({
    ...withoutUndefined(rest),
    ...ownFiles(certificate, key),
    ...(token && { token: secretFile(token) }),
    ...(signingSecret && { secret: secretFile(signingSecret) }),
    batch: { events: batch, bytes: MOST_BATCH_BYTES },
  });
}

const ownFiles = (certificate: string | undefined, key: SecretPlace | undefined): TlsFiles => ({
  ...(certificate !== undefined && { cert: certificate }),
  ...(key && { key: secretFile(key).file }),
});

type Defined<T> = { readonly [Key in keyof T]: Exclude<T[Key], undefined> };

/** Options that are not set are absent. */
const withoutUndefined = <T extends object>(options: T): Defined<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>;
