import { describe, expect, it } from 'vitest';
import { settingsFor } from './effective.ts';
import { check } from './load.ts';

const UUID = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';
const TEXT = `
policy: {mode: detect, excludes: [/proc], deadlines: {login: 20s}}
schedule: {cron: "0 3 * * *", jitter: 1h}
groups:
  - name: web
    match: {names: ["web-*"]}
    policy: {mode: contain, deadlines: {command: 1min}}
    schedule: {jitter: 5min, onConnect: true}
    budget: {cpuPercent: 20}
  - name: all-of-one-owner
    match: {names: ["*-1"], uuids: [${UUID.toUpperCase()}]}
    policy: {excludes: [/srv]}
`;
const settings = () => check([{ file: 'a.yaml', text: TEXT }]);

describe('what holds for a VM', () => {
  it('is what its group lays over the rest, mappings key by key', async () => {
    const web = settingsFor(await settings(), { id: 'x', name: 'web-1' });
    expect(web).toMatchObject({
      group: 'web',
      policy: { mode: 'contain', excludes: ['/proc'], deadlines: { login: 20_000, command: 60_000 } },
      schedule: { cron: '0 3 * * *', jitter: 300_000, onConnect: true, onFirstSight: true },
      budget: { cpuPercent: 20 },
    });
  });

  it('goes by the UUID as well, and replaces lists', async () => {
    const { group, policy, schedule } = settingsFor(await settings(), { id: UUID, name: 'db' });
    expect({ group, excludes: policy.excludes, jitter: schedule.jitter }).toEqual({
      group: 'all-of-one-owner',
      excludes: ['/srv'],
      jitter: 3_600_000,
    });
  });

  it('is what holds for all where no group matches', async () => {
    const all = await settings();
    const { group, ...rest } = settingsFor(all, { id: 'x', name: 'db' });
    expect(group).toBeUndefined();
    expect(rest).toEqual({ policy: all.policy, schedule: all.schedule, budget: all.budget });
  });
});
