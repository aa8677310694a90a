import containFile from '../../plugins/remediations/contain-file/index.ts';
import deleteFile from '../../plugins/remediations/delete-file/index.ts';
import stopProcess from '../../plugins/remediations/stop-process/index.ts';
import { remediationSuite } from './remediation.suite.ts';

for (const plugin of [containFile, deleteFile, stopProcess]) remediationSuite(plugin);
