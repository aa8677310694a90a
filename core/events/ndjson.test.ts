import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { EventError } from '../error.ts';
import { NdjsonSink } from './ndjson.ts';
import type { OcsfEvent } from './sink.ts';

const event = (message = 'hello'): OcsfEvent => ({
  class_uid: 6007,
  activity_id: 1,
  time: 1,
  metadata: { uid: 'event-1' },
  message,
});

/** A stream that keeps each line until `passOn` lets it through. */
function slowReader() {
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const stream = new Writable({
    decodeStrings: false,
    highWaterMark: 1,
    write: (line, _, done) => {
      lines.push(line);
      waiting.push(done);
    },
  });
  return { stream, lines, passOn: () => waiting.shift()?.() };
}

const brokenBy = (code: string): Writable =>
  new Writable({ write: (_chunk, _, done) => done(Object.assign(new Error(`write ${code}`), { code })) });

const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('NdjsonSink', () => {
  it('writes one line of JSON an event, in their order', async () => {
    const stream = new PassThrough({ encoding: 'utf8' });
    const sink = new NdjsonSink(stream);
    await sink.emit(event('one\ntwo'));
    await sink.emit(event('three'));
    stream.end();
    const written = (await stream.toArray()).join('');
    expect(written.endsWith('\n')).toBe(true);
    expect(
      written
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([event('one\ntwo'), event('three')]);
  });

  it('holds the caller back until the line was passed on', async () => {
    const { stream, lines, passOn } = slowReader();
    const sink = new NdjsonSink(stream);
    const steps: string[] = [];
    const first = sink.emit(event('first')).then(() => steps.push('first is out'));
    const second = sink.emit(event('second')).then(() => steps.push('second is out'));
    expect(lines).toHaveLength(1);
    steps.push('the reader takes the first');
    passOn();
    await first;
    steps.push('the reader takes the second');
    passOn();
    await second;
    expect(steps).toEqual([
      'the reader takes the first',
      'first is out',
      'the reader takes the second',
      'second is out',
    ]);
  });

  it('says that the reader has gone, and for later events the same', async () => {
    const sink = new NdjsonSink(brokenBy('EPIPE'));
    const [first, second] = await Promise.all([errorOf(sink.emit(event())), errorOf(sink.emit(event()))]);
    expect(first).toBeInstanceOf(EventError);
    expect(first).toMatchObject({ code: 'reader-gone', cause: { code: 'EPIPE' } });
    expect(second).toBe(first);
    expect(await errorOf(sink.emit(event()))).toBe(first);
  });

  it('has no gap: after a failure nothing more is written, even if it could be', async () => {
    const lines: string[] = [];
    const stream = new Writable({
      autoDestroy: false,
      decodeStrings: false,
      write: (line, _, done) => done(lines.push(line) === 1 ? new Error('no space') : null),
    });
    const sink = new NdjsonSink(stream);
    const first = await errorOf(sink.emit(event()));
    expect(await errorOf(sink.emit(event()))).toBe(first);
    expect(lines).toHaveLength(1);
  });

  it('tells every other failure', async () => {
    const full = await errorOf(new NdjsonSink(brokenBy('ENOSPC')).emit(event()));
    expect(full).toMatchObject({ code: 'write-failed', message: expect.stringContaining('write ENOSPC') });
    const ended = new PassThrough();
    ended.end();
    expect(await errorOf(new NdjsonSink(ended).emit(event()))).toMatchObject({ code: 'write-failed' });
  });
});
