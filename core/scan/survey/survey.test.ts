/** Surveys of guests that answer as no honest agent of today does; those of real agents are in test/scan/survey.test.ts. */
import { describe, expect, it } from 'vitest';
import type { FileEntry, InventoryRequest, PieceRequest } from '../../../protocol/index.ts';
import { elfFile } from '../../../test/elf-file.ts';
import { ChannelError } from '../../channel/error.ts';
import type { GuestSession, ListedLine, ReadPieces } from '../../channel/session.ts';
import { NeverTouch } from '../../control/never-touch.ts';
import { KnownNeeds } from './known-needs.ts';
import { Survey } from './survey.ts';

const TIME = '1700000000.000000000';
const ROOTS = [0o040755, 0, 0] satisfies [number, number, number];
const TINFO = '/lib/libtinfo.so.6';

/** One guest: bash in /bin, which needs libtinfo in /lib. */
class Guest {
  access: [number, number, number] | undefined = ROOTS;
  readonly asked: string[][] = [];
  listing: (request: InventoryRequest) => Iterable<ListedLine> = (request) => this.honest(request);
  piecesOf: (request: PieceRequest) => Iterable<ReadPieces> = (request) => this.pieces(request);

  async survey(needs = new KnownNeeds().of('guest')): Promise<NeverTouch> {
    const guest = this;
    const session = {
      async *listFiles(request: InventoryRequest) {
        yield* guest.listing(request);
      },
      async *readPieces(request: PieceRequest) {
        guest.asked.push(request.files.map(({ path }) => String(path)));
        yield* guest.piecesOf(request);
      },
    } as unknown as GuestSession;
    const neverTouch = new NeverTouch();
    await new Survey(session, neverTouch, new AbortController().signal, needs).run();
    return neverTouch;
  }

  *honest({ roots, maxDepth }: InventoryRequest): Generator<ListedLine> {
    for (const root of roots) {
      const path = String(root);
      if (path === '/bin') yield this.line(path, ['bash', '1']);
      else if (path === '/lib') yield this.line(path, ['libtinfo.so.6', '2'], ['libother.so', '3']);
      else if (path === '/' || path === '/usr') yield this.line(path);
      else yield { type: 'fault', path, fault: 'vanished', detail: 'ENOENT' };
    }
    yield { type: 'end', files: 0, directories: 0, bytes: 0, ...(maxDepth === 0 && { limit: 'depth' }) };
  }

  line(path: string, ...files: [name: string, ino: string][]): ListedLine {
    const entries = files.map(([name, ino]): FileEntry => [name, ino, 500, TIME, TIME, 0o100755, 0, 0, 1]);
    const access = this.access && { access: this.access, links: [] };
    return { type: 'directory', path, dev: '1', files: entries, digest: '0'.repeat(32), ...access };
  }

  private *pieces({ files }: PieceRequest): Generator<ReadPieces> {
    for (const [index, { path, pieces }] of files.entries()) {
      const content = elfFile(path === '/bin/bash' ? { needs: ['libtinfo.so.6'] } : {});
      const data = pieces.map(([at, bytes]) => content.subarray(at, at + bytes).toString('base64'));
      yield { type: 'pieces', index, data };
    }
  }
}

const reasonOf = (list: NeverTouch, path: string, ino: string): string | undefined =>
  list.fileReason({ path, dev: '1', ino, sha256: 'a'.repeat(64) });

describe('a survey', () => {
  it('knows what is needed, and reads it once', async () => {
    const guest = new Guest();
    const needs = new KnownNeeds();
    expect(reasonOf(await guest.survey(needs.of('guest')), TINFO, '2')).toContain('what /bin/bash needs');
    expect(guest.asked.flat()).toContain('/bin/bash');
    guest.asked.length = 0;
    expect(reasonOf(await guest.survey(needs.of('guest')), TINFO, '2')).toContain('what /bin/bash needs');
    expect(guest.asked).toEqual([]);
    await guest.survey(needs.of('another'));
    expect(guest.asked.flat()).toContain('/bin/bash');
  });

  it('of an agent that reads no pieces, or tells nothing of directories, protects what the list has', async () => {
    const refusing = new Guest();
    refusing.piecesOf = () => {
      throw new ChannelError('refused', 'there is no such route');
    };
    const silent = new Guest();
    silent.access = undefined;
    for (const guest of [refusing, silent]) {
      const list = await guest.survey();
      expect(reasonOf(list, '/tmp/x', '1')).toContain('a shell');
      expect(reasonOf(list, TINFO, '2')).toBeUndefined();
    }
  });

  it('does not keep for ever that an agent could not read', async () => {
    const needs = new KnownNeeds();
    const guest = new Guest();
    guest.piecesOf = () => {
      throw new ChannelError('refused', 'there is no such route');
    };
    await guest.survey(needs.of('guest'));
    const later = new Guest();
    expect(reasonOf(await later.survey(needs.of('guest')), TINFO, '2')).toContain('what /bin/bash needs');
  });

  it('takes directories that it did not ask for, and what cannot be read, for nothing', async () => {
    const guest = new Guest();
    guest.listing = function* (this: Guest, request) {
      yield guest.line('/home/user', ['libtinfo.so.6', '9']);
      yield guest.line(`/boot${'/d'.repeat(2040)}`, ['k'.repeat(200), '8']);
      yield* guest.honest(request);
    };
    guest.piecesOf = ({ files }) =>
      files.map((_, index) => ({ type: 'failure', index, failure: { reason: 'io-error' } }));
    const list = await guest.survey();
    expect(reasonOf(list, '/home/user/libtinfo.so.6', '9')).toBeUndefined();
    expect(reasonOf(list, '/tmp/x', '1')).toContain('a shell');
  });

  it.each(['entries', 'time'] as const)(
    'that ends at the limit of %s knows that it does not know all',
    async (limit) => {
      const guest = new Guest();
      guest.listing = function* (request) {
        for (const line of guest.honest(request)) yield line.type === 'end' ? { ...line, limit } : line;
      };
      expect(reasonOf(await guest.survey(), '/tmp/x', '77')).toMatch(/^withheld: /);
    },
  );

  it('rejects when the guest is lost, at whatever question', async () => {
    const lost = () => {
      throw new ChannelError('session-lost', 'it is gone');
    };
    for (let questions = 0; questions < 6; questions++) {
      const guest = new Guest();
      let left = questions;
      guest.listing = (request) => (left-- > 0 ? guest.honest(request) : lost());
      guest.piecesOf = lost;
      await expect(guest.survey()).rejects.toMatchObject({ code: 'session-lost' });
    }
  });
});

describe('what is known of programs', () => {
  const needs = (characters: number) => ({ libraries: ['l'.repeat(characters)], directories: [] });

  it('is bounded for each guest: it forgets what it knew, and never takes in what is larger than all', () => {
    const known = new KnownNeeds().of('guest');
    known.keep('small', needs(10));
    known.keep('huge', needs(1024 * 1024));
    expect([known.has('small'), known.has('huge')]).toEqual([true, false]);
    for (let at = 0; at < 10; at++) known.keep(`${at}`, needs(60_000));
    expect([known.has('small'), known.has('0'), known.has('9')]).toEqual([false, false, true]);
  });

  it('is bounded in guests: the one that was not surveyed for longest is forgotten', () => {
    const all = new KnownNeeds();
    for (const vm of ['first', 'second']) all.of(vm).keep('key', undefined);
    for (let at = 0; at < 1022; at++) all.of(`${at}`);
    all.of('first');
    all.of('one more');
    expect([all.of('first').has('key'), all.of('second').has('key')]).toEqual([true, false]);
  });
});
