/** A folder that plays a guest of some distribution, and what a survey of it finds to be protected. */
import { chmodSync, linkSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { TestAgent } from '../../agent/testing/tree.ts';
import { NeverTouch } from '../../core/control/never-touch.ts';
import { KnownNeeds } from '../../core/scan/survey/known-needs.ts';
import { Survey } from '../../core/scan/survey/survey.ts';
import { logInTo } from '../channel/setting.ts';
import { type ElfSketch, elfFile } from '../elf-file.ts';
import { forThisTest } from './setting.ts';

const ANY_HASH = 'a'.repeat(64);
const NOT_TOUCHED = 'never touched: it is ';

export class Surveyed implements AsyncDisposable {
  private readonly agent: TestAgent;
  private readonly knownNeeds = new KnownNeeds();
  private neverTouch = new NeverTouch();

  /** `root`: a directory of this machine in place of a new one. */
  static async guest(root?: string): Promise<Surveyed> {
    return forThisTest(new Surveyed(await TestAgent.start(root === undefined ? {} : { root })));
  }

  private constructor(agent: TestAgent) {
    this.agent = agent;
    if (agent.root !== '/') chmodSync(agent.root, 0o755);
  }

  /** The host's path of one of the guest. */
  at(path: string): string {
    return join(this.agent.root, path);
  }

  directory(path: string, mode = 0o755): void {
    const missing: string[] = [];
    for (let at = path; at !== '/'; at = dirname(at)) missing.unshift(at);
    for (const one of missing) {
      if (statSync(this.at(one), { throwIfNoEntry: false })) continue;
      mkdirSync(this.at(one));
      chmodSync(this.at(one), 0o755);
    }
    chmodSync(this.at(path), mode);
  }

  file(path: string, content: string | Buffer = path, mode = 0o644): void {
    if (!statSync(this.at(dirname(path)), { throwIfNoEntry: false })) this.directory(dirname(path));
    writeFileSync(this.at(path), content);
    chmodSync(this.at(path), mode);
  }

  program(path: string, sketch: ElfSketch = {}): void {
    this.file(path, elfFile({ ...sketch, tail: path }), 0o755);
  }

  library(path: string, sketch: ElfSketch = {}): void {
    this.file(path, elfFile({ ...sketch, tail: path }));
  }

  link(path: string, target: string): void {
    if (!statSync(this.at(dirname(path)), { throwIfNoEntry: false })) this.directory(dirname(path));
    symlinkSync(target, this.at(path));
  }

  hardLink(path: string, target: string): void {
    linkSync(this.at(target), this.at(path));
  }

  async survey(): Promise<void> {
    const session = await logInTo(this.agent.socket);
    try {
      await session.grant({ id: 'survey', instructions: ['query:files', 'query:content'] });
      const neverTouch = new NeverTouch();
      const signal = new AbortController().signal;
      await new Survey(session, neverTouch, signal, this.knownNeeds.of('guest')).run();
      this.neverTouch = neverTouch;
    } finally {
      await session.close();
    }
  }

  /** Why nothing is done to a file of the guest; undefined when something may be. */
  reason(path: string): string | undefined {
    const { dev, ino } = statSync(this.at(path), { bigint: true });
    const reason = this.neverTouch.fileReason({ path, dev: `${dev}`, ino: `${ino}`, sha256: ANY_HASH });
    return reason?.slice(reason.indexOf(NOT_TOUCHED) + NOT_TOUCHED.length);
  }

  /** The reason of each. */
  reasons(...paths: readonly string[]): Record<string, string | undefined> {
    return Object.fromEntries(paths.map((path) => [path, this.reason(path)]));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.agent[Symbol.asyncDispose]();
  }
}
