/**
 * The login: a request that lives as long as the session. The agent's first line is its login request; the host
 * answers with one line, accept or refuse; after it come heartbeats, and nothing else.
 */
import {
  AgentLine,
  encodeLine,
  LineSplitter,
  type LoginAnswer,
  type LoginRequest,
  type loginRefusalCodes,
  PROTOCOL_VERSION,
  parseMessage,
  ROUTES,
} from '../../protocol/index.ts';
import { ChannelError } from './error.ts';
import type { Exchange } from './exchange.ts';
import { Session } from './guest-session.ts';
import type { Link } from './link.ts';
import type { Admission, GuestSession, OpenChannel } from './session.ts';
import { ignoreHandled } from './tls.ts';

/** Heartbeats that may stay out before the guest counts as silent. */
const MISSED_HEARTBEATS = 2;

const LOGIN = { method: 'POST', path: ROUTES.login, contentType: 'application/x-ndjson' } as const;

export async function logIn(
  link: Link,
  agentKey: string,
  admit: Parameters<OpenChannel['login']>[0],
): Promise<GuestSession> {
  const lines = new AgentLines(await link.begin(LOGIN));
  await askToLogIn(lines, link.deadlines.login);
  const login = await lines.next(link.deadlines.login);
  if (login.type !== 'login') throw lines.exchange.violate('its first line is no login request');
  const admission = await decide(login, agentKey, admit).catch(async (error: unknown) => {
    // An agent that went away meanwhile is refused all the same.
    await refuse(lines.exchange, error, link.deadlines.login).catch(ignoreHandled);
    await link.close();
    throw error;
  });
  await accept(lines, admission, link.deadlines.login);
  void watchHeartbeats(link, lines, link.deadlines.heartbeat * MISSED_HEARTBEATS);
  return new Session(link, login, admission);
}

async function askToLogIn(lines: AgentLines, within: number): Promise<void> {
  try {
    await lines.exchange.answered(200, within);
  } catch (cause) {
    if (!(cause instanceof ChannelError) || cause.code !== 'refused') throw cause;
    throw new ChannelError(
      'login-failed',
      `${cause.message}; if the host's key has changed, have the guest's administrator remove the pinned one`,
      { cause },
    );
  }
}

async function decide(
  untrustedLogin: LoginRequest,
  agentKey: string,
  admit: Parameters<OpenChannel['login']>[0],
): Promise<Admission> {
  if (!untrustedLogin.protocol.includes(PROTOCOL_VERSION)) throw new UnknownProtocol();
  return admit(untrustedLogin, agentKey);
}

class UnknownProtocol extends ChannelError {
  constructor() {
    super(
      'login-failed',
      `the agent does not speak version ${PROTOCOL_VERSION} of the protocol: update the older of the two sides`,
    );
  }
}

/** The agent's next line, a heartbeat, says that it knows: a request can overtake the answer on its way. */
async function accept(lines: AgentLines, { session, epoch }: Admission, within: number): Promise<void> {
  const answer: LoginAnswer = { type: 'accept', session, epoch, hostTime: Date.now() };
  lines.exchange.say(encodeLine(answer));
  const line = await lines.next(within);
  if (line.type !== 'heartbeat') throw lines.exchange.violate('it does not confirm its login');
}

async function refuse(exchange: Exchange, error: unknown, within: number): Promise<void> {
  const answer: LoginAnswer = {
    type: 'refuse',
    code: refusalCode(error),
    message: error instanceof ChannelError ? error.message.slice(0, 256) : 'the host could not decide',
  };
  exchange.finish(encodeLine(answer));
  await exchange.flush(within);
}

function refusalCode(error: unknown): (typeof loginRefusalCodes)[number] {
  if (error instanceof UnknownProtocol) return 'unknown-protocol';
  const contradicts =
    error instanceof ChannelError && (error.code === 'key-changed' || error.code === 'identity-mismatch');
  return contradicts ? 'identity-mismatch' : 'not-enrolled';
}

/** Runs until the session is over, and ends it when the agent stops to send what it must. */
async function watchHeartbeats(link: Link, lines: AgentLines, within: number): Promise<void> {
  try {
    for (;;) {
      const line = await lines.next(within);
      if (line.type !== 'heartbeat') throw lines.exchange.violate('it asks to log in twice');
    }
  } catch (cause) {
    link.lost('its login request was broken off', cause as Error);
  }
}

/** The agent's lines on the login request. */
class AgentLines {
  readonly exchange: Exchange;
  private readonly splitter = new LineSplitter();
  private readonly ready: AgentLine[] = [];

  constructor(exchange: Exchange) {
    this.exchange = exchange;
    exchange.isConversation = true;
  }

  async next(within: number): Promise<AgentLine> {
    for (;;) {
      const line = this.ready.shift();
      if (line) return line;
      const group = await this.exchange.next(within);
      if (!group) throw this.exchange.cutShort('the agent ended its login');
      this.exchange.guard(() => {
        for (const chunk of group) {
          for (const untrusted of this.splitter.push(chunk)) {
            this.ready.push(parseMessage(AgentLine, untrusted));
          }
        }
      });
    }
  }
}
