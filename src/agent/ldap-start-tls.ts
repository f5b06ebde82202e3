/** LDAP's way from a plain connection to TLS on the same port: one extended request, and the result of it. */

/** `extendedRequest` 1.3.6.1.4.1.1466.20037, as message 1. */
export const startTlsRequest = Buffer.concat([Buffer.from('301d02010177188016', 'hex'), Buffer.from('1.3.6.1.4.1.1466.20037')]);

const sequence = 0x30;
const integer = 0x02;
const extendedResponse = 0x78;
const enumerated = 0x0a;

/** The number of the result, undefined when more bytes are wanted, false for what is no answer to the request. */
export function resultOfStartTls(bytes: Buffer): number | undefined | false {
  const message = partAt(bytes, 0);
  if (message === undefined) return bytes.length > 0 && bytes[0] !== sequence ? false : undefined;
  if (message.tag !== sequence) return false;
  if (bytes.length < message.end) return undefined;
  const number = partAt(bytes, message.from);
  const response = number && partAt(bytes, number.end);
  const result = response && partAt(bytes, response.from);
  if (number?.tag !== integer || response?.tag !== extendedResponse || result?.tag !== enumerated || result.end > bytes.length) return false;
  return bytes.readUIntBE(result.from, Math.min(result.end - result.from, 4));
}

type Part = { readonly tag: number; readonly from: number; readonly end: number };

/** Tag, and a length of one byte, or of as many as its first byte says. */
function partAt(bytes: Buffer, at: number): Part | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  if (first < 0x80) return { tag, from: at + 2, end: at + 2 + first };
  const count = first & 0x7f;
  if (count < 1 || count > 4 || bytes.length < at + 2 + count) return undefined;
  const length = bytes.readUIntBE(at + 2, count);
  return { tag, from: at + 2 + count, end: at + 2 + count + length };
}
