export type Column<R> = { readonly title: string; readonly cell: (row: R) => string; readonly right?: true };

/** A table in plain text. The last column is not padded, so that long words break no line that need not break. */
export function showTable<R>(columns: readonly Column<R>[], rows: readonly R[]): string {
  const lines = [columns.map((column) => column.title), ...rows.map((row) => columns.map((column) => column.cell(row)))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => widthOf(line[at]!))));
  const pad = (text: string, at: number): string => {
    const room = ' '.repeat(widths[at]! - widthOf(text));
    if (columns[at]!.right === true) return room + text;
    return at === columns.length - 1 ? text : text + room;
  };
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

/** `name   value` lines, for one thing. */
export function showFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => widthOf(name)));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value.replaceAll('\n', `\n${' '.repeat(width + 2)}`)}`.trimEnd()).join('\n');
}

/** Code points, not code units; wide characters are not known here. */
function widthOf(text: string): number {
  return Array.from(text).length;
}
