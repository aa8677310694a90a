import { randomUUID } from 'node:crypto';
import { appendFileSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Instruction } from '../../protocol/index.ts';
import { fileTarget, sha256, TempDirectory, TestAgent } from '../testing/tree.ts';
import { type Intent, Journal } from './journal.ts';
import { Workplace } from './workplace.ts';

const newIntent = (): Intent => ({ id: randomUUID(), name: 'stop:process' });

describe('journal', () => {
  it('keeps outcomes over a restart, and what has none as unfinished', () => {
    using state = new TempDirectory();
    const journal = new Journal(state.path);
    const [done, settled, begun] = [newIntent(), newIntent(), newIntent()];
    for (const intent of [done, settled, begun]) journal.begin(intent);
    for (const { id } of [done, settled]) journal.settle(id, { code: 'done' });
    journal.finish(done.id);
    const next = new Journal(state.path);
    expect(next.outcomeOf(done.id)).toEqual({ code: 'done' });
    expect(next.outcomeOf(randomUUID())).toBeUndefined();
    expect(next.unfinished()).toEqual([{ intent: settled, outcome: { code: 'done' } }, { intent: begun }]);
  });

  it('takes a line that was cut off for one that was not written', () => {
    using state = new TempDirectory();
    const journal = new Journal(state.path);
    const intent = newIntent();
    journal.begin(intent);
    const directory = join(state.path, 'commands');
    appendFileSync(join(directory, readdirSync(directory)[0] ?? ''), '{"code":"do');
    expect(new Journal(state.path).unfinished()).toEqual([{ intent }]);
    writeFileSync(join(directory, `000000000009-${randomUUID()}.begun`), '{"id":');
    expect(new Journal(state.path).unfinished()).toEqual([{ intent }]);
  });

  it.each(['{"code":"done","state":{"mode":"?"}}', '{"code":"no such code"}', 'nonsense'])(
    'takes a command whose outcome reads %s for one that was carried out, and told no more of',
    (line) => {
      using state = new TempDirectory();
      const journal = new Journal(state.path);
      const intent = newIntent();
      journal.begin(intent);
      const directory = join(state.path, 'commands');
      appendFileSync(join(directory, readdirSync(directory)[0] ?? ''), `${line}\n`);
      journal.finish(intent.id);
      const next = new Journal(state.path);
      expect(next.outcomeOf(intent.id)).toMatchObject({ code: 'interrupted' });
      expect(next.unfinished()).toEqual([]);
    },
  );

  it('drops the oldest, and never one that is unfinished', () => {
    using state = new TempDirectory();
    const journal = new Journal(state.path, 3);
    const intents = Array.from({ length: 6 }, newIntent);
    for (const [index, intent] of intents.entries()) {
      journal.begin(intent);
      if (index === 0) continue;
      journal.settle(intent.id, { code: 'done' });
      journal.finish(intent.id);
    }
    const known = intents.map(({ id }) => journal.outcomeOf(id)?.code);
    expect(known).toEqual([undefined, undefined, undefined, undefined, 'done', 'done']);
    expect(new Journal(state.path, 3).unfinished()).toEqual([{ intent: intents[0] }]);
  });
});

/** A state directory and a tree in which an agent died at its work. */
class Scene {
  private readonly directory = new TempDirectory();
  readonly state = join(this.directory.path, 'state');
  readonly root = join(this.directory.path, 'root');
  readonly id = randomUUID();
  readonly journal: Journal;

  constructor() {
    mkdirSync(this.state);
    mkdirSync(this.root);
    this.journal = new Journal(this.state);
  }

  /** Work that had begun on `/f`. */
  begin(name: Intent['name'], content?: string | null): Workplace {
    const workplace = '.lazaret-0123456789abcdef';
    this.journal.begin({
      id: this.id,
      name,
      path: '/f',
      workplace,
      ...(content !== undefined && { content }),
    });
    return Workplace.make(openSync(this.root, 'r'), Buffer.from('f'), workplace);
  }

  restart(): Promise<TestAgent> {
    return TestAgent.start({ state: this.state, root: this.root });
  }

  read(name = 'f'): string {
    return readFileSync(join(this.root, name), 'utf8');
  }

  [Symbol.dispose](): void {
    this.directory[Symbol.dispose]();
  }
}

/** What the agent answers when the command is given again. */
async function outcomeAgain(agent: TestAgent, id: string): Promise<unknown> {
  const host = await agent.session();
  const target = { path: '/f', dev: '1', ino: '1', sha256: sha256('') };
  return host.send({ name: 'delete:file', target }, { id });
}

describe('an agent that died at its work', () => {
  it('puts back what was taken and not judged', async () => {
    using scene = new Scene();
    writeFileSync(join(scene.root, 'f'), 'x');
    scene.begin('contain:file').take();
    await using agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual(['f']);
    expect(scene.read()).toBe('x');
    expect(await outcomeAgain(agent, scene.id)).toEqual({ code: 'interrupted' });
  });

  it('puts it beside when its name is taken by now', async () => {
    using scene = new Scene();
    writeFileSync(join(scene.root, 'f'), 'x');
    scene.begin('delete:file').take();
    writeFileSync(join(scene.root, 'f'), 'new');
    await using _agent = await scene.restart();
    expect(scene.read()).toBe('new');
    const other = readdirSync(scene.root).find((name) => name !== 'f') ?? '';
    expect(scene.read(other)).toBe('x');
  });

  it('finishes what was decided', async () => {
    using scene = new Scene();
    writeFileSync(join(scene.root, 'f'), 'x');
    scene.begin('delete:file').take();
    scene.journal.settle(scene.id, { code: 'done' });
    await using agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual([]);
    expect(await outcomeAgain(agent, scene.id)).toEqual({ code: 'done' });
  });

  it('takes an update back, exchanged or not', async () => {
    for (const isExchanged of [false, true]) {
      using scene = new Scene();
      writeFileSync(join(scene.root, 'f'), 'old');
      const workplace = scene.begin('update:file', sha256('new'));
      writeFileSync(join(scene.root, '.lazaret-0123456789abcdef', 'file'), 'new');
      if (isExchanged) workplace.exchange();
      expect(scene.read()).toBe(isExchanged ? 'new' : 'old');
      await using _agent = await scene.restart();
      expect(readdirSync(scene.root)).toEqual(['f']);
      expect(scene.read()).toBe('old');
    }
  });

  it('puts back a file that an update was removing', async () => {
    using scene = new Scene();
    writeFileSync(join(scene.root, 'f'), 'old');
    scene.begin('update:file', null).take();
    await using _agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual(['f']);
  });

  it('leaves no half-restored file', async () => {
    using scene = new Scene();
    scene.begin('restore:file', sha256('x'));
    writeFileSync(join(scene.root, '.lazaret-0123456789abcdef', 'file'), 'half');
    await using _agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual([]);
  });

  it('leaves alone what somebody put in the place of its directory', async () => {
    using scene = new Scene();
    const workplace = scene.begin('contain:file');
    workplace.remove();
    mkdirSync(join(scene.root, '.lazaret-0123456789abcdef'), { mode: 0o777 });
    writeFileSync(join(scene.root, '.lazaret-0123456789abcdef', 'file'), 'planted');
    await using agent = await scene.restart();
    expect(readdirSync(scene.root)).toEqual(['.lazaret-0123456789abcdef']);
    expect(await outcomeAgain(agent, scene.id)).toMatchObject({ code: 'interrupted' });
  });
});

it('answers a repeated command after a restart, whatever was granted by then', async () => {
  using scene = new Scene();
  const id = randomUUID();
  writeFileSync(join(scene.root, 'f'), 'x');
  const instruction: Instruction = { name: 'delete:file', target: fileTarget(scene.root, '/f', 'x') };
  {
    await using agent = await scene.restart();
    const host = await agent.session('delete:file');
    expect(await host.send(instruction, { id })).toEqual({ code: 'done' });
  }
  writeFileSync(join(scene.root, 'f'), 'x');
  await using agent = await scene.restart();
  expect(await outcomeAgain(agent, id)).toEqual({ code: 'done' });
  expect(scene.read()).toBe('x');
});
