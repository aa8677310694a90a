/** Colours for a terminal; none where they would be noise. */
import { styleText } from 'node:util';
import type { Output } from './io.ts';

export type Shade = 'strong' | 'faint' | 'good' | 'warning' | 'bad';
export type Paint = (shade: Shade, text: string) => string;

const FORMATS = {
  strong: 'bold',
  faint: 'dim',
  good: 'green',
  warning: 'yellow',
  bad: ['red', 'bold'],
} as const satisfies Record<Shade, Parameters<typeof styleText>[0]>;

export const plain: Paint = (_, text) => text;

export const coloured: Paint = (shade, text) => styleText(FORMATS[shade], text, { validateStream: false });

/** Colours when `output` is a terminal, nobody switched them off, and NO_COLOR (https://no-color.org) is not set. */
export function paintFor(
  output: Output,
  env: Readonly<Record<string, string | undefined>>,
  wanted: boolean,
): Paint {
  return wanted && output.isTTY && !env.NO_COLOR && env.TERM !== 'dumb' ? coloured : plain;
}
