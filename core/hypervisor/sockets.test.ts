import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bareSocket, configuredSockets } from './sockets.ts';

describe('guests by their sockets', () => {
  it('are the ones configured, by their UUID where it is given', async () => {
    const uuid = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';
    const port = configuredSockets([
      { name: 'web', socket: '/run/web/../web.sock', uuid },
      { name: 'db', socket: '/run/db.sock', uuid: undefined },
    ]);
    const [web, db] = await port.listDomains();
    expect(web).toMatchObject({ id: uuid, name: 'web', socket: '/run/web.sock', uuid, state: 'unknown' });
    expect(db).toMatchObject({ ...bareSocket('/run/db.sock'), name: 'db' });
    expect(db).not.toHaveProperty('uuid');
  });

  it('have one id for one path, however it is written', () => {
    const { id } = bareSocket('/run/a.sock');
    expect(z.uuid({ version: 'v8' }).safeParse(id).success).toBe(true);
    expect(bareSocket('/run/./x/../a.sock').id).toBe(id);
    expect(bareSocket('/run/b.sock').id).not.toBe(id);
  });

  it('are called as their file when nobody names them', () => {
    expect(bareSocket('/run/web-1.sock').name).toBe('web-1');
    expect(bareSocket('/run/web-1.sock', 'other').name).toBe('other');
    expect(bareSocket('a.sock').socket).toBe(`${process.cwd()}/a.sock`);
  });
});
