#!/usr/bin/env -S node --disable-warning=ExperimentalWarning
/** The guest agent's program: options, configuration, then the port or the socket until it is told to end. */
import { rmSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { displayText } from '../protocol/index.ts';
import { Journal } from './act/journal.ts';
import { type Agent, startAgent } from './agent.ts';
import { DEFAULT_CONFIG, loadConfig } from './config.ts';
import { messageOf, StartError } from './error.ts';
import { type Identity, renewIdentity } from './identity.ts';
import { smbiosUuid } from './machine.ts';
import { serve } from './serve.ts';
import { defaultStateDirectory, openStateDirectory } from './state.ts';
import { openDevice } from './transport/device.ts';
import { listenOn } from './transport/listen.ts';
import type { Resync } from './transport/resync.ts';
import { VERSION } from './version.ts';

const HELP = `lazaret-agent ${VERSION}: serves this guest to the Lazaret engine on its host

  lazaret-agent --port DEVICE | --listen unix:PATH [options]

  --port DEVICE       the virtio port, such as /dev/virtio-ports/org.lazaret.agent.0
  --listen unix:PATH  a unix socket that only this user can connect to
  --root DIR          serve only what lies below DIR, which is then / (default: /)
  --state DIR         identity, pinned host and journal (default: ${defaultStateDirectory()})
  --config FILE       what the administrator denies (default: ${DEFAULT_CONFIG}, if there is one)
  --enrolment-token-file FILE
                      the token that the host made for this VM; it is also found as systemd credential, SMBIOS OEM
                      string, in fw_cfg, and as enrolment-token in the state directory
  --new-identity      become another agent, with a new key that the host must enrol, and exit; the agent must not run
  --help, --version
`;

const EXIT = { usage: 64, config: 78, failed: 1 } as const;

interface Options {
  readonly port?: string;
  readonly listen?: string;
  readonly root: string;
  readonly state: string;
  readonly config?: string;
  readonly tokenFile?: string;
  readonly newIdentity: boolean;
}

/** Undefined when there is nothing left to do. Throws StartError (`usage`). */
function readOptions(args: string[]): Options | undefined {
  const values = parse(args);
  if (values.help || values.version) {
    process.stdout.write(values.help ? HELP : `${VERSION}\n`);
    return undefined;
  }
  const { port, listen, root = '/', state = defaultStateDirectory(), config } = values;
  const newIdentity = values['new-identity'] === true;
  const lines = [port, listen].filter((line) => line !== undefined).length;
  if (newIdentity && lines > 0)
    throw new StartError('usage', '--new-identity goes without --port and --listen');
  if (!newIdentity && lines !== 1) {
    throw new StartError('usage', 'give either --port DEVICE or --listen unix:PATH');
  }
  if (listen !== undefined && !/^unix:./.test(listen)) {
    throw new StartError('usage', `--listen takes unix:PATH, not ${listen}`);
  }
  const socket = listen?.slice('unix:'.length);
  const tokenFile = values['enrolment-token-file'];
  return {
    root,
    state,
    newIdentity,
    ...(port && { port }),
    ...(socket && { listen: socket }),
    ...(config && { config }),
    ...(tokenFile && { tokenFile }),
  };
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const options = {
    port: text,
    listen: text,
    root: text,
    state: text,
    config: text,
    'enrolment-token-file': text,
    'new-identity': flag,
    help: flag,
    version: flag,
  };
  try {
    return parseArgs({ args, options }).values;
  } catch (cause) {
    throw new StartError('usage', messageOf(cause), { cause });
  }
}

function log(line: string): void {
  process.stderr.write(`lazaret-agent: ${displayText(line)}\n`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (!options) return;
  if (options.newIdentity) return becomeAnother(options.state);
  const { deny } = await loadConfig(options.config);
  tuneMemory();
  const { root, state, tokenFile } = options;
  const ownFiles = [process.execPath, fileURLToPath(import.meta.url), options.config ?? DEFAULT_CONFIG];
  const agent = await startAgent({ root, state, denied: deny, ownFiles, tokenFile, log });
  if (options.port) servePort(options.port, agent);
  else if (options.listen) await serveSocket(options.listen, agent);
}

async function becomeAnother(state: string): Promise<void> {
  openStateDirectory(state);
  const identity = await renewIdentity({ state, journal: new Journal(state), smbiosUuid: smbiosUuid() });
  log(`this is another agent now, for the host to enrol (lazaret enrol); ${nameOf(identity)}`);
}

/**
 * Every record that TLS writes is a buffer outside of the heap, and so much of that makes V8 mark the heap over
 * and over. Marking this small one in one go costs a fifth less time in all than doing it step by step.
 */
function tuneMemory(): void {
  if (!('bun' in process.versions)) setFlagsFromString('--no-incremental-marking');
}

function servePort(path: string, agent: Agent): void {
  const device = openDevice(path);
  const resync = serve(device, agent);
  device.on('error', (error) => {
    log(`the port ${path}: ${messageOf(error)}`);
    process.exitCode = EXIT.failed;
    leave();
  });
  const leave = (): void => {
    resync.endSession();
    // A read of the port waits in a thread until bytes come, and an exit would wait for that thread.
    process.kill(process.pid, 'SIGKILL');
  };
  onSignal(leave);
  log(`serving ${agent.root.path} on ${path}; ${nameOf(agent.identity)}`);
}

async function serveSocket(path: string, agent: Agent): Promise<void> {
  let current: { readonly line: Duplex; readonly resync: Resync } | undefined;
  const server = await listenOn(path, (line) => {
    // There is one host: one that connects anew has given up its old connection.
    current?.resync.endSession();
    current?.line.destroy();
    line.on('error', (error) => log(`connection: ${messageOf(error)}`));
    current = { line, resync: serve(line, agent) };
  });
  onSignal(() => {
    current?.resync.endSession();
    server.close();
    rmSync(path, { force: true });
    process.exit();
  });
  log(`serving ${agent.root.path} on ${path}; ${nameOf(agent.identity)}`);
}

/** What an operator compares with what the host shows. */
const nameOf = ({ id, keyId }: Identity): string => `agent ${id}, key ${keyId}`;

function onSignal(leave: () => void): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, leave);
}

try {
  await main();
} catch (error) {
  for (const line of messageOf(error).split('\n')) log(line);
  const code = error instanceof StartError ? error.code : undefined;
  process.exit(code === 'usage' ? EXIT.usage : code === 'bad-config' ? EXIT.config : EXIT.failed);
}
