/** Which guests are meant: by what an administrator of the host gave them, never by what a guest says of itself. */
import { matchesPattern } from '../config/index.ts';
import type { DomainMetadata, HostDomain } from './port.ts';

export interface DomainSelection {
  readonly all?: boolean | undefined;
  /** Patterns for the whole name: `*` stands for any characters, `?` for one. Case counts. */
  readonly names?: readonly string[] | undefined;
  /** In lower case. */
  readonly uuids?: readonly string[] | undefined;
  readonly metadata?: readonly MetadataPattern[] | undefined;
  /** Not these, whatever selects them. */
  readonly except?: Omit<DomainSelection, 'except' | 'all'> | undefined;
}

/** An element of the domain's `<metadata>`; what is not given may be anything. */
export interface MetadataPattern {
  readonly namespace: string;
  readonly name?: string | undefined;
  /** A pattern as for names, for the element's text. */
  readonly text?: string | undefined;
  /** Patterns as for names, for attributes that must be there. */
  readonly attributes?: Readonly<Record<string, string>> | undefined;
}

type Selectable = Pick<HostDomain, 'name' | 'uuid' | 'metadata'>;

/** Any one of the ways is enough. An empty selection selects nothing. */
export function isSelected(
  domain: Selectable,
  { all = false, except = {}, ...ways }: DomainSelection,
): boolean {
  return (all || matchesAny(domain, ways)) && !matchesAny(domain, except);
}

function matchesAny(domain: Selectable, ways: Omit<DomainSelection, 'except' | 'all'>): boolean {
  const { names = [], uuids = [], metadata = [] } = ways;
  return (
    names.some((pattern) => matchesPattern(domain.name, pattern)) ||
    (domain.uuid !== undefined && uuids.includes(domain.uuid)) ||
    metadata.some((pattern) => domain.metadata.some((element) => matchesElement(element, pattern)))
  );
}

function matchesElement(element: DomainMetadata, pattern: MetadataPattern): boolean {
  const { namespace, name, text, attributes = {} } = pattern;
  if (element.namespace !== namespace) return false;
  if (name !== undefined && element.name !== name) return false;
  if (text !== undefined && !matchesPattern(element.text, text)) return false;
  return Object.entries(attributes).every(([key, wanted]) => {
    const value = Object.hasOwn(element.attributes, key) ? element.attributes[key] : undefined;
    return value !== undefined && matchesPattern(value, wanted);
  });
}
