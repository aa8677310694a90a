import { describe, it } from 'vitest';
import containFile from '../../plugins/remediations/contain-file/index.ts';
import deleteFile from '../../plugins/remediations/delete-file/index.ts';
import stopProcess from '../../plugins/remediations/stop-process/index.ts';
import { remediationSuite } from '../../testkit/index.ts';

describe.each([containFile, deleteFile, stopProcess])('$meta.id as a remediation', (plugin) => {
  for (const { name, run } of remediationSuite(plugin)) it(name, run);
});
