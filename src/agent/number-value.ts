import { Long, type Decimal128 } from 'mongodb';

/**
 * The value of a number of BSON, as text that is the same for equal numbers of whatever type; undefined for all else.
 *
 * Whole numbers are exact, up to 64 bits and beyond. A fraction in binary is the decimal that it is written as: 0.1 is the
 * `NumberDecimal` 0.1, although mongod itself, which compares the bits, says they differ. Signed zeros are one, and so are NaNs.
 */
export function numberOf(value: unknown): string | undefined {
  if (typeof value === 'bigint') return decimalValue(String(value));
  if (typeof value === 'number') return ofDouble(value);
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, '_bsontype')) return undefined;
  switch ((value as { _bsontype?: unknown })._bsontype) {
    case 'Int32':
    case 'Double':
      return ofDouble(Number(value));
    case 'Long':
      return Long.isLong(value) ? decimalValue(value.toString()) : undefined;
    case 'Decimal128':
      return decimalValue((value as Decimal128).toString());
    default:
      return undefined;
  }
}

const ofDouble = (value: number): string => decimalValue(Number.isInteger(value) ? String(BigInt(value)) : String(value));

/** `-12.50E+3` as `-125e2`: digits that neither begin nor end with a zero, and a power of ten. NaN and infinities as they are. */
function decimalValue(text: string): string {
  const parts = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/.exec(text);
  if (parts === null) return text;
  const [, sign, whole = '', fraction = '', power = '0'] = parts;
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign === '-' ? '-' : ''}${significant}e${Number(power) - fraction.length + digits.length - significant.length}`;
}
