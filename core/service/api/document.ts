import type { Operations } from '../operations.ts';
import { createApp } from './app.ts';
import { Audit } from './audit.ts';
import { byFilePermissions } from './authenticate.ts';
import { API_LIMITS } from './limits.ts';

/** The OpenAPI document of the API, without a daemon behind it. */
export async function openApiDocument(): Promise<unknown> {
  const silent = () => undefined;
  const app = await createApp({
    // Nothing is asked of it.
    operations: {} as Operations,
    authenticate: byFilePermissions,
    limits: API_LIMITS,
    audit: new Audit({ debug: silent, info: silent, warn: silent }),
    uploads: '/nonexistent',
    closing: AbortSignal.abort(),
  });
  await app.ready();
  try {
    return app.swagger();
  } finally {
    await app.close();
  }
}
