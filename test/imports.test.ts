/**
 * Who may import whom. Do not relax these rules: they keep the agent small, plugins replaceable and the wire
 * contract free of everything else.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.join(import.meta.dirname, '..');
const SOURCES = ['protocol', 'core', 'plugins', 'testkit', 'agent', 'demo', 'bench', 'packaging', 'test'];
const COMPOSITION_ROOT = 'core/container.ts';
/** Tests, and what only tests run. */
const TESTING = /\.test\.ts$|\.suite\.ts$|\.child\.ts$|^test\/|^(agent|core\/service)\/testing\//;

interface Import {
  readonly from: string;
  /** A file of this project relative to its root, or the name of a package or builtin. */
  readonly to: string;
  readonly own: boolean;
}

/** Static imports and exports, dynamic imports, and files that are started: `new URL('./x', import.meta.url)`. */
const SPECIFIER = new RegExp(
  [
    String.raw`^(?:import|export|\})[^'\n]*\bfrom '(?<taken>[^'\n]+)'`,
    String.raw`^import '(?<run>[^'\n]+)'`,
    String.raw`\bimport\(\s*'(?<awaited>[^'\n]+)'`,
    String.raw`new URL\(\s*['\x60](?<started>\.[^'\x60$\n]+)`,
  ].join('|'),
  'gm',
);

function specifiersOf(text: string): string[] {
  return [...text.matchAll(SPECIFIER)].flatMap(({ groups }) => Object.values(groups ?? {}).filter(Boolean));
}

function importsOf(file: string): Import[] {
  return specifiersOf(readFileSync(path.join(ROOT, file), 'utf8')).map((specifier) => {
    const own = specifier.startsWith('.');
    return { from: file, to: own ? path.join(path.dirname(file), specifier) : specifier, own };
  });
}

const files = SOURCES.flatMap((source) =>
  readdirSync(path.join(ROOT, source), { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(source, name))
    .filter((name) => /\.m?ts$/.test(name) && !name.endsWith('.d.ts')),
);
const all = files.flatMap(importsOf);
const production = all.filter(({ from }) => !TESTING.test(from));

const within = (folder: string) => (file: string) => file.startsWith(`${folder}/`);
const pluginOf = (file: string): string => file.split('/').slice(0, 3).join('/');
const shown = (imports: readonly Import[]): string[] => imports.map(({ from, to }) => `${from} → ${to}`);

/** A rule: among imports from `from`, none goes where `never` says. */
const RULES: readonly {
  readonly rule: string;
  readonly from: (file: string) => boolean;
  readonly never: (one: Import) => boolean;
}[] = [
  {
    rule: 'protocol imports nothing of the project',
    from: within('protocol'),
    never: ({ to, own }) => (own ? !within('protocol')(to) : to.startsWith('lazaret')),
  },
  {
    rule: 'the agent imports neither core nor plugins',
    from: within('agent'),
    never: ({ to, own }) => (own ? within('core')(to) || within('plugins')(to) : to.startsWith('lazaret')),
  },
  {
    rule: 'core imports neither the agent nor plugins, but for the composition root',
    from: (file) => within('core')(file) && file !== COMPOSITION_ROOT,
    never: ({ to, own }) => own && (within('agent')(to) || within('plugins')(to)),
  },
  {
    rule: 'the plugin API imports nothing of core beyond itself',
    from: within('core/api'),
    never: ({ to, own }) => (own ? !within('core/api')(to) && !within('protocol')(to) : !isBuiltin(to)),
  },
  {
    rule: 'a plugin imports the API by its published name, packages and its own files',
    from: within('plugins'),
    never: ({ from, to, own }) =>
      own ? !within(pluginOf(from))(to) : to.startsWith('lazaret') && to !== 'lazaret/plugin',
  },
  {
    rule: 'the test kit imports the plugin API, what Node has, and its own files',
    from: within('testkit'),
    never: ({ to, own }) => (own ? !within('testkit')(to) && to !== 'core/api/index.ts' : !isBuiltin(to)),
  },
  {
    rule: 'only tests import the test kit',
    from: (file) => !within('testkit')(file),
    never: ({ to, own }) => (own ? within('testkit')(to) : to === 'lazaret/testkit'),
  },
  {
    rule: 'nothing imports test',
    from: () => true,
    never: ({ to, own }) => own && TESTING.test(to),
  },
  {
    rule: 'only the composition root touches the container',
    from: (file) => file !== COMPOSITION_ROOT,
    never: ({ from, to }) =>
      (to === 'reflect-metadata' || to === 'tsyringe') && containerNames(from).length > 0,
  },
];

/** What a file takes from tsyringe besides the decorators that mark constructors. */
function containerNames(file: string): string[] {
  const text = readFileSync(path.join(ROOT, file), 'utf8');
  const [, names = ''] = /import (?:type )?\{([^}]*)\} from 'tsyringe'/.exec(text) ?? [];
  const taken = names.split(',').map((name) => name.trim().replace(/^type /, ''));
  return taken.filter((name) => name !== '' && name !== 'inject' && name !== 'injectable');
}

describe('imports', () => {
  it('are found: the rules below look at something', () => {
    expect(files.length).toBeGreaterThan(100);
    for (const source of ['protocol', 'core', 'plugins', 'agent']) {
      expect(production.filter(({ from }) => within(source)(from))).not.toEqual([]);
    }
    const text = [
      "import a from './a.ts';",
      "import './b.ts';",
      'export {',
      '  c,',
      "} from './c.ts';",
      "const d = await import('./d.ts');",
      "new URL('./e', import.meta.url);",
      " * import f from './comment.ts'",
    ].join('\n');
    expect(specifiersOf(text)).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e']);
  });

  it.each(RULES)('$rule', ({ from, never }) => {
    expect(shown(production.filter((one) => from(one.from) && never(one)))).toEqual([]);
  });

  it('lead to files that there are', () => {
    const known = new Set(files);
    const lost = production.filter(({ to, own }) => own && /\.m?ts$/.test(to) && !known.has(to));
    expect(shown(lost.filter(({ to }) => !to.endsWith('.d.ts')))).toEqual([]);
  });
});
