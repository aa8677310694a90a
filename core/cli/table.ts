/** Tables that fit the terminal. */
import type { Paint, Shade } from './style.ts';
import { columnsOf, harmless, pad, shorten } from './text.ts';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly align?: 'left' | 'right';
  /** May be shortened when the table is wider than the terminal. */
  readonly flexible?: boolean;
  readonly shade?: (row: Row) => Shade | undefined;
}

const GAP = '  ';
const LEAST_FLEXIBLE = 12;

/** One line for the titles and one for each row, each ended by a newline. */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
  paint: Paint,
): string {
  const cells = rows.map((row) => columns.map((column) => harmless(column.cell(row))));
  const widths = widthsOf(columns, cells, width);
  const line = (texts: readonly string[], shadeOf: (index: number) => Shade | undefined) => {
    const painted = columns.map((column, index) => {
      const columnWidth = widths[index] ?? 0;
      const last = index === columns.length - 1 && column.align !== 'right';
      const text = shorten(texts[index] ?? '', columnWidth);
      const shade = shadeOf(index);
      const padded = last ? text : pad(text, columnWidth, column.align);
      return shade ? paint(shade, padded) : padded;
    });
    return `${painted.join(GAP).trimEnd()}\n`;
  };
  const head = line(
    columns.map(({ title }) => title),
    () => 'strong',
  );
  const body = rows.map((row, at) => line(cells[at] ?? [], (index) => columns[index]?.shade?.(row)));
  return head + body.join('');
}

function widthsOf<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  width: number,
): number[] {
  const widths = columns.map(({ title }, index) =>
    cells.reduce((most, row) => Math.max(most, columnsOf(row[index] ?? '')), columnsOf(title)),
  );
  let excess = widths.reduce((sum, each) => sum + each, GAP.length * (columns.length - 1)) - width;
  while (excess > 0) {
    const widest = indexOfWidest(columns, widths);
    if (widest === undefined) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

function indexOfWidest<Row>(columns: readonly Column<Row>[], widths: readonly number[]): number | undefined {
  let widest: number | undefined;
  for (const [index, column] of columns.entries()) {
    const each = widths[index] ?? 0;
    if (!column.flexible || each <= LEAST_FLEXIBLE) continue;
    if (widest === undefined || each > (widths[widest] ?? 0)) widest = index;
  }
  return widest;
}
