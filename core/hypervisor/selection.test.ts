import { describe, expect, it } from 'vitest';
import { type DomainSelection, isSelected } from './selection.ts';

const uuid = '4dea22b3-1d52-d8f3-2516-782e98ab3fa0';
const tenant = {
  namespace: 'https://cloud.example/1.0',
  name: 'tenant',
  attributes: { plan: 'gold' },
  text: 'acme-eu',
};
const web = { name: 'web-1', uuid, metadata: [tenant] };

describe('a selection of guests', () => {
  it.each<[string, DomainSelection]>([
    ['all', { all: true }],
    ['a name', { names: ['db', 'web-1'] }],
    ['a pattern', { names: ['w*-?'] }],
    ['a UUID', { uuids: [uuid] }],
    ['metadata of a namespace', { metadata: [{ namespace: tenant.namespace }] }],
    ['metadata in full', { metadata: [{ ...tenant, text: 'acme-*', attributes: { plan: 'g?ld' } }] }],
    ['one way of several', { names: ['none'], uuids: [], metadata: [tenant] }],
    ['all but others', { all: true, except: { names: ['db*'] } }],
  ])('takes by %s', (_what, selection) => {
    expect(isSelected(web, selection)).toBe(true);
  });

  it.each<[string, DomainSelection]>([
    ['nothing', {}],
    ['empty lists', { names: [], uuids: [], metadata: [] }],
    ['a part of the name', { names: ['web', 'eb-1', 'WEB-1', ''] }],
    ['another UUID', { uuids: [uuid.replace('4', '5')] }],
    ['another namespace', { metadata: [{ ...tenant, namespace: 'https://cloud.example/1.1' }] }],
    ['another element', { metadata: [{ ...tenant, name: 'owner' }] }],
    ['another text', { metadata: [{ ...tenant, text: 'acme' }] }],
    ['an attribute that is not there', { metadata: [{ ...tenant, attributes: { constructor: '*' } }] }],
    ['what is excepted by name', { all: true, except: { names: ['web-*'] } }],
    ['what is excepted by metadata', { uuids: [uuid], except: { metadata: [tenant] } }],
  ])('does not take by %s', (_what, selection) => {
    expect(isSelected(web, selection)).toBe(false);
  });

  it('takes no guest without a UUID by UUID', () => {
    expect(isSelected({ name: 'bare', metadata: [] }, { uuids: [uuid] })).toBe(false);
  });
});
