import type { Settings } from '../config/index.ts';
import type { EventOutlet } from '../events/outbox/outlet.ts';
import { fileOutlet } from '../events/outlets/file.ts';
import { syslogOutlet } from '../events/outlets/syslog.ts';
import { webhookOutlet } from '../events/outlets/webhook.ts';
import { secretFile } from './secret-place.ts';

const MOST_BATCH_BYTES = 2 ** 20;

/** Where the configuration has events go. Throws DeliveryError or ConfigError. */
export function outletsOf({ file, syslog, webhook }: Settings['events']): EventOutlet[] {
  return [
    ...(file ? [fileOutlet(file)] : []),
    ...(syslog ? [syslogOutlet(withoutUndefined(syslog))] : []),
    ...(webhook ? [webhookOf(webhook)] : []),
  ];
}

function webhookOf({ token, batch, ...rest }: NonNullable<Settings['events']['webhook']>): EventOutlet {
  return webhookOutlet({
    ...withoutUndefined(rest),
    ...(token && { token: secretFile(token) }),
    batch: { events: batch, bytes: MOST_BATCH_BYTES },
  });
}

type Defined<T> = { readonly [Key in keyof T]: Exclude<T[Key], undefined> };

/** Options that are not set are absent. */
const withoutUndefined = <T extends object>(options: T): Defined<T> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>;
