/** A guest's serial console, followed as it is written. */
import { EventEmitter, once } from 'node:events';
import type { Readable } from 'node:stream';

/** Colours and cursor movements, which systemd puts between words. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with ESC
const ESCAPES = /\u001b\[[0-9;?]*[A-Za-z]|\r/g;

export class GuestConsole extends EventEmitter<{ said: []; closed: [] }> {
  private raw = '';
  private ended = false;

  constructor(stream: Readable) {
    super();
    this.setMaxListeners(0);
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      this.raw += text;
      this.emit('said');
    });
    stream.once('close', () => {
      this.ended = true;
      this.emit('closed');
    });
  }

  /** All that was said. */
  get text(): string {
    return this.raw.replaceAll(ESCAPES, '');
  }

  /** How often something was said so far. */
  count(words: RegExp): number {
    return [...this.text.matchAll(new RegExp(words, 'g'))].length;
  }

  /** Resolves when it was said, for the `times`th time; rejects when the guest ends before. */
  async says(words: RegExp, times = 1): Promise<void> {
    while (this.count(words) < times) {
      if (this.ended) throw new Error(`the guest ended without saying ${words}:\n${this.last(30)}`);
      await Promise.race([once(this, 'said'), once(this, 'closed')]);
    }
  }

  last(lines: number): string {
    return this.text.split('\n').slice(-lines).join('\n');
  }
}
