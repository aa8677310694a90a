/** What is rarely legitimate in something that starts by itself, whatever it starts. */
import type { Oddity } from './entry.ts';
import { baseName } from './programs.ts';
import type { Command } from './shell.ts';
import { isShell, unwrapped } from './started.ts';

const VOLATILE = /^\/(?:tmp|var\/tmp|dev\/shm)\//;
/** Homes, /opt and /usr/local are full of hidden files (`.venv`, `.cargo`); the system's own directories are not. */
const HIDDEN =
  /^\/(?:bin|boot|dev|etc|lib\d{0,2}|run|sbin|usr(?!\/local\/)|var\/(?:cache|log|run|spool))\/(?:.*\/)?\.[^/]/;
const REMOTE = /^\/dev\/(?:tcp|udp)\//;
const SHOWN = 160;

export function odditiesIn(lists: readonly (readonly Command[])[], paths: readonly string[]): Oddity[] {
  const found: Oddity[] = [];
  const volatile = paths.find((path) => VOLATILE.test(path));
  if (volatile !== undefined) {
    found.push({ name: 'starts-from-temporary', description: `Starts ${volatile}, where anybody may write` });
  }
  const hidden = paths.find((path) => HIDDEN.test(path));
  if (hidden !== undefined) found.push({ name: 'starts-hidden', description: `Starts the hidden ${hidden}` });
  return [...found, ...first(lists, fed), ...first(lists, remoteShells)];
}

function first(
  lists: readonly (readonly Command[])[],
  look: (list: readonly Command[]) => Oddity | undefined,
): Oddity[] {
  for (const list of lists) {
    const found = look(list);
    if (found !== undefined) return [found];
  }
  return [];
}

type Source = 'download' | 'decoder';
const FED: Record<Source, Oddity> = {
  download: { name: 'runs-download', description: 'A shell runs what is downloaded' },
  decoder: { name: 'runs-decoded', description: 'A shell runs what is decoded' },
};

/** Shells that run what a download or a decoder writes: through a pipe, or within their words. */
function fed(commands: readonly Command[]): Oddity | undefined {
  let piped: Source | undefined;
  for (const command of commands) {
    if (!command.piped) piped = undefined;
    const name = baseName(unwrapped(command.words)[0]);
    const runs = isShell(command) || name === 'eval' || name === '.' || name === 'source';
    const source = piped ?? (runs ? command.within.map(sourceOf).find(Boolean) : undefined);
    if (runs && source !== undefined) return showing(FED[source], command);
    piped = sourceOf(command) ?? command.within.map(sourceOf).find(Boolean) ?? piped;
  }
  return undefined;
}

function sourceOf({ words: given }: Command): Source | undefined {
  const words = unwrapped(given);
  const name = baseName(words[0]);
  if (name === 'curl' || name === 'wget') return 'download';
  if (name === 'base64' || name === 'base32') {
    return words.some((word) => /^(?:-[a-z]{0,4}[dD][a-z]{0,4}|--decode)$/.test(word))
      ? 'decoder'
      : undefined;
  }
  return name === 'xxd' && words.some((word) => /^-[a-z]{0,4}r/.test(word)) ? 'decoder' : undefined;
}

/** An interactive shell on a socket of bash's making, and a netcat that runs one. */
function remoteShells(commands: readonly Command[]): Oddity | undefined {
  const shell = commands.find((command) => {
    const words = unwrapped(command.words);
    const isInteractive = isShell(command) && words.some((word) => /^-[a-z]{0,8}i[a-z]{0,8}$/.test(word));
    if (isInteractive && command.targets.some((target) => REMOTE.test(target))) return true;
    const isCat = /^(?:nc|ncat|netcat|nc\.\w{1,16})$/.test(baseName(words[0]));
    return isCat && words.some((word) => /^(?:-[a-z]{0,8}[ec]|--exec|--sh-exec)$/.test(word));
  });
  return (
    shell && showing({ name: 'opens-remote-shell', description: 'Hands a shell to another host' }, shell)
  );
}

function showing({ name, description }: Oddity, { words }: Command): Oddity {
  const shown = words.slice(0, 20).join(' ').slice(0, SHOWN);
  return { name, description: `${description}: ${shown}` };
}
