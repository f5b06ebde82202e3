/**
 * An update as the oplog has it, said again in operators that clients may use.
 *
 * The oplog's `$v: 2` diff of a document, and of an array (`a: true`):
 *
 *   d {f: false}   f is removed                        l n        the array is cut to n
 *   u {f: v}       f is changed where it stands        u<k> v     element k is changed or added
 *   i {f: v}       f is added at the end; if it was    s<k> diff  element k has this diff
 *                  there, it moves to the end
 *   s<f> diff      f has this diff
 *
 * Several statements may be needed for one diff: `$unset` of all that is removed or moves, `$push` with `$slice` for
 * arrays that are cut, then `$set`. Since `$set` adds new fields in the order of their names, those whose order in the diff
 * is another get a statement each. Names that no path can express (dots, a leading $) have no such form.
 */
import { asBuffer, DOCUMENT, fieldsOf, INT32 } from './bson-bytes.ts';
import { field, int32, wrap } from './bson-writer.ts';

/** The `u` of each update statement in order; undefined when only mongod's own diff can express it. */
export function statementsOf(o: Uint8Array): Uint8Array[] | undefined {
  const fields = [...fieldsOf(o)];
  if (fields[0]?.name === '$v' || fields.some(({ name }) => name.startsWith('$'))) {
    const diff = fields.find(({ name }) => name === 'diff');
    if (fields[0]?.name !== '$v' || diff?.type !== DOCUMENT) return undefined;
    const parts: Parts = { unset: [], cut: [], changed: [], added: [] };
    return collect(o.subarray(diff.value, diff.value + diff.size), '', parts) ? statements(parts) : undefined;
  }
  // mongod would put the time of day into an empty timestamp.
  const hasEmptyTime = fields.some(
    ({ type, value, size }) => type === 0x11 && o.subarray(value, value + size).every((byte) => byte === 0),
  );
  return hasEmptyTime ? undefined : [o];
}

type Parts = {
  readonly unset: string[];
  readonly cut: { path: string; length: number }[];
  readonly changed: Uint8Array[];
  readonly added: Uint8Array[][];
};

function collect(diff: Uint8Array, prefix: string, parts: Parts): boolean {
  const fields = [...fieldsOf(diff)];
  const isArray = fields[0]?.name === 'a' && fields[0].type === 8;
  for (const { name, type, value, size } of isArray ? fields.slice(1) : fields) {
    const bytes = diff.subarray(value, value + size);
    if (name.startsWith('s')) {
      const path = name.slice(1);
      if (type !== DOCUMENT || !isPlain(path) || !collect(bytes, `${prefix}${path}.`, parts)) return false;
    } else if (isArray && name === 'l' && type === INT32)
      parts.cut.push({ path: prefix.slice(0, -1), length: asBuffer(bytes).readInt32LE(0) });
    else if (isArray && name.startsWith('u')) parts.changed.push(field(type, `${prefix}${name.slice(1)}`, bytes));
    else if (isArray || type !== DOCUMENT || !collectFields(name, bytes, prefix, parts)) return false;
  }
  return true;
}

function collectFields(section: string, bytes: Uint8Array, prefix: string, parts: Parts): boolean {
  if (section !== 'd' && section !== 'u' && section !== 'i') return false;
  const added: { name: string; bytes: Uint8Array }[] = [];
  for (const { name, type, value, size } of fieldsOf(bytes)) {
    if (!isPlain(name)) return false;
    const path = prefix + name;
    if (section !== 'u') parts.unset.push(path);
    const set = field(type, path, bytes.subarray(value, value + size));
    if (section === 'u') parts.changed.push(set);
    else if (section === 'i') added.push({ name, bytes: set });
  }
  if (added.length === 0) return true;
  const inOrder = added.every(({ name }, k) => !/^\d/.test(name) && (k === 0 || added[k - 1]!.name < name));
  parts.added.push(...(inOrder ? [added.map((one) => one.bytes)] : added.map((one) => [one.bytes])));
  return true;
}

function isPlain(name: string): boolean {
  return name !== '' && !name.includes('.') && !name.startsWith('$');
}

function statements({ unset, cut, changed, added }: Parts): Uint8Array[] {
  const made: Uint8Array[] = [];
  if (unset.length > 0)
    made.push(wrap(field(DOCUMENT, '$unset', wrap(...unset.map((path) => field(0x10, path, int32(1)))))));
  for (const { path, length } of cut) {
    const slice = wrap(field(4, '$each', wrap()), field(INT32, '$slice', int32(length)));
    made.push(wrap(field(DOCUMENT, '$push', wrap(field(DOCUMENT, path, slice)))));
  }
  const [first, ...more] = added;
  const set = [...changed, ...(first ?? [])];
  if (set.length > 0) made.push(wrap(field(DOCUMENT, '$set', wrap(...set))));
  for (const one of more) made.push(wrap(field(DOCUMENT, '$set', wrap(...one))));
  return made.length > 0 ? made : [wrap(field(DOCUMENT, '$set', wrap()))];
}
