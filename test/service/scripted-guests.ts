/** Guests of a service that are scripted: each an agent with a key of its own, on a socket that the configuration names. */
import { join } from 'node:path';
import { loadIdentity } from '../../core/channel/identity.ts';
import { encodeFeatures, encodeOutcome, ROUTES } from '../../protocol/index.ts';
import {
  bodyOf,
  contentOf,
  FEATURES,
  type Handler,
  respond,
  type Script,
  ScriptedAgent,
  sendLines,
} from '../channel/scripted-agent.ts';

/** How a contained file was: the outcome of a containment has to tell. */
const STATE = { mode: 0o644, uid: 0, gid: 0, atime: '1.000000000', mtime: '1.000000000', xattrs: [] };

export interface ScriptedGuest extends AsyncDisposable {
  readonly name: string;
  readonly socket: string;
  readonly agent: ScriptedAgent;
}

export async function scriptedGuest(
  directory: string,
  name: string,
  script: Omit<Script, 'keys'> = {},
): Promise<ScriptedGuest> {
  const keys = await loadIdentity(join(directory, `${name}-identity`));
  const socket = join(directory, `${name}.sock`);
  const agent = await ScriptedAgent.start(socket, {
    keys,
    ...script,
    routes: { [ROUTES.files]: oneFile, ...script.routes },
  });
  return { name, socket, agent, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() };
}

/** As the configuration has them. */
export const asVms = (guests: readonly ScriptedGuest[]): { name: string; socket: string }[] =>
  guests.map(({ name, socket }) => ({ name, socket }));

/** The guest's only file: its content is `contentOf(0)`, its metadata as those of the content. */
export const ONLY_FILE = '/srv/file';
const SIZE = contentOf(0).length;
const TIME = '0.000000000';

const oneFile: Handler = (stream) =>
  void bodyOf(stream).then(() =>
    sendLines(stream, [
      {
        ...{ type: 'directory', path: '/srv', dev: '1' },
        files: [['file', '2', SIZE, TIME, TIME, 0o100644, 0, 0, 1]],
      },
      { type: 'end', files: 1, directories: 1, bytes: SIZE },
    ]),
  );

/** A listing that goes on and on; `asked` is called each time. */
export const endlessListing =
  (asked: () => void): Handler =>
  (stream) =>
    void bodyOf(stream).then(() => {
      stream.respond({ ':status': 200 });
      asked();
    });

/** Answers what is asked about the guest; what is to be done in it is done when `isAnswered` says so, else it is silent. */
export const commands =
  (isAnswered: (id: string) => boolean): Handler =>
  (stream) =>
    void bodyOf(stream).then((body) => {
      const { headers, body: message } = JSON.parse(String(body)) as {
        headers: { request_id: string };
        body: { openc2: { request: { action: string } } };
      };
      const id = headers.request_id;
      if (message.openc2.request.action === 'query') respond(stream, 200, encodeFeatures(id, FEATURES));
      else if (isAnswered(id)) respond(stream, 200, encodeOutcome(id, { code: 'done', state: STATE }));
    });
