/**
 * The copyright file of a package, in Debian's machine-readable form.
 * Source: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
 */
import type { Dependency } from './production.ts';

const HEADER = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Lazaret

Files: *
Copyright: the Lazaret authors
License: Apache-2.0

License: Apache-2.0
 On Debian systems the full text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
`;

/** For what comes along: the licence that each part names, its text where the part has it. */
export function copyright(parts: readonly string[]): string {
  if (parts.length === 0) return HEADER;
  const lines = parts.map((part) => ` ${part}\n`).join('');
  return `${HEADER}Comment: Parts of others in this package, each with the licence that it names:\n .\n${lines}`;
}

export const licenceLine = ({ name, version, license }: Dependency): string =>
  `${name} ${version}: ${license}`;
