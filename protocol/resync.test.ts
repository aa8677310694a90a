import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cutAt, cuts } from '../test/cutting.ts';
import { ProtocolError } from './error.ts';
import { LIMITS } from './limits.ts';
import { ECHO, EchoFinder, echo, MAGIC, PreambleScanner, preamble } from './resync.ts';

const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
/** Session bytes that like to look like the beginning of a magic word. */
const bytes = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some)),
      fc.nat({ max: 15 }).map((length) => MAGIC.subarray(0, length)),
      fc.nat({ max: 31 }).map((length) => ECHO.subarray(0, length)),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Buffer.concat(parts))
  .filter((all) => !all.includes(MAGIC));

interface Heard {
  nonce: string | undefined;
  bytes: Buffer;
}

/** What each session between two preambles got. */
function scan(chunks: readonly Buffer[]): Heard[] {
  const scanner = new PreambleScanner();
  const heard: Heard[] = [{ nonce: undefined, bytes: Buffer.alloc(0) }];
  for (const chunk of chunks) {
    for (const part of scanner.push(chunk)) {
      const last = heard.at(-1) as Heard;
      if (part.kind === 'preamble') heard.push({ nonce: part.nonce.toString('hex'), bytes: Buffer.alloc(0) });
      else last.bytes = Buffer.concat([last.bytes, part.bytes]);
    }
  }
  return heard;
}

describe('the agent’s scanner', () => {
  it('finds every preamble and loses no byte of a session, however the stream is cut', () => {
    fc.assert(
      fc.property(bytes, fc.array(fc.tuple(nonce, bytes), { maxLength: 5 }), cuts, (before, sessions, at) => {
        const stream = Buffer.concat([before, ...sessions.flatMap(([one, after]) => [preamble(one), after])]);
        const heard = scan(cutAt(stream, at));
        const expected = [
          [undefined, before] as const,
          ...sessions.map(([one, after]) => [one.toString('hex'), after] as const),
        ];
        expect(heard.map((one) => one.nonce)).toEqual(expected.map(([one]) => one));
        expected.forEach(([, sent], index) => {
          const got = (heard[index] as Heard).bytes;
          expect(got.subarray(0, sent.length)).toEqual(sent);
          // A session that a preamble ended may have heard the beginning of it; the last one is exact.
          const surplus = got.subarray(sent.length);
          const isLast = index === expected.length - 1;
          expect(isLast ? surplus.length === 0 : MAGIC.subarray(0, surplus.length).equals(surplus)).toBe(
            true,
          );
        });
      }),
    );
  });

  it('passes on at once what only looks like a preamble', () => {
    for (let length = 1; length < MAGIC.length; length++) {
      const scanner = new PreambleScanner();
      const parts = Array.from(scanner.push(MAGIC.subarray(0, length)));
      expect(parts).toEqual([{ kind: 'bytes', bytes: MAGIC.subarray(0, length) }]);
    }
  });
});

describe('the host’s finder', () => {
  function find(wanted: Buffer, chunks: readonly Buffer[]): { found: boolean; rest: Buffer } {
    const finder = new EchoFinder(wanted);
    const rest = Buffer.concat(chunks.map((chunk) => finder.push(chunk)));
    return { found: finder.found, rest };
  }

  it('passes on what follows the echo of its nonce and nothing else, however the stream is cut', () => {
    fc.assert(
      fc.property(bytes, nonce, nonce, fc.nat({ max: 4 }), cuts, (stale, other, own, repeats, at) => {
        fc.pre(!other.equals(own));
        const tls = Buffer.from([0x16, 3, 3, 0, 1]);
        const echoes = Array.from({ length: repeats + 1 }, () => echo(own));
        const stream = Buffer.concat([stale, echo(other), ...echoes, tls]);
        expect(find(own, cutAt(stream, at))).toEqual({ found: true, rest: tls });
      }),
    );
  });

  it('finds nothing in the echo of another nonce', () => {
    const own = Buffer.alloc(16, 1);
    expect(find(own, [echo(Buffer.alloc(16, 2)), ECHO])).toEqual({ found: false, rest: Buffer.alloc(0) });
  });

  it('gives up on a stream that never has it', () => {
    const finder = new EchoFinder(Buffer.alloc(16, 1));
    const pour = () => {
      for (let sent = 0; sent <= LIMITS.resyncDiscardBytes; sent += 1 << 20)
        finder.push(Buffer.alloc(1 << 20));
    };
    expect(pour).toThrow(ProtocolError);
  });
});
