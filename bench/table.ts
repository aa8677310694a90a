/** How figures are printed: a line each, names to the left. */
const GiB = 1024 ** 3;

export interface Row {
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
  /** CPU seconds; left out where they were not measured. */
  readonly guestCpu?: number;
  readonly hostCpu?: number;
}

export function heading(title: string): void {
  line(`\n${title}`);
}

export function row(name: string, { files, bytes, seconds, guestCpu, hostCpu }: Row): void {
  const cpu = (of: string, spent: number | undefined) =>
    spent === undefined ? '' : `${of} ${spent.toFixed(2)} s (${(spent / (bytes / GiB)).toFixed(2)}/GiB)`;
  line(
    [
      `  ${name.padEnd(28)}`,
      `${files} files`.padStart(14),
      `${(bytes / 1e6).toFixed(0)} MB`.padStart(8),
      `${seconds.toFixed(2)} s`.padStart(9),
      `${(files / seconds).toFixed(0)} files/s`.padStart(15),
      `${(bytes / 1e6 / seconds).toFixed(0)} MB/s`.padStart(10),
      ['CPU', cpu('guest', guestCpu), cpu('host', hostCpu)].filter(Boolean).join(' '),
    ].join('  '),
  );
}

/** A figure that is promised, beside its promise. */
export function figure(
  name: string,
  value: number,
  unit: string,
  promise: 'at most' | 'at least',
  bound: number,
): void {
  const holds = promise === 'at most' ? value <= bound : value >= bound;
  const shown = value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toPrecision(2);
  line(`  ${holds ? 'holds ' : 'MISSED'}  ${name}: ${shown}${unit} (${promise} ${bound}${unit})`);
}

export function line(text: string): void {
  process.stdout.write(`${text}\n`);
}
