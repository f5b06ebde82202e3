/**
 * A certificate that a service makes for itself: an X.509 of the curve P-256, signed by its own key, good for a day. Nobody believes
 * it by itself. It is compared, byte for byte, with what was fetched over another way (docs/design/windows-first-contact.md).
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';

const dayMs = 86_400_000;

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}

const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
/** 1.2.840.10045.4.3.2 and 2.5.4.3. */
const ecdsaWithSha256 = sequence(der(6, Buffer.from([0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])));
const commonName = der(6, Buffer.from([0x55, 4, 3]));
const time = (ms: number): Buffer => der(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`, 'ascii'));

export type OwnCertificate = { readonly keyPem: string; readonly certificatePem: string };

/** `name` has less than 64 characters of ASCII. */
export function makeOwnCertificate(name: string, nowMs: number): OwnCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subject = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from(name, 'utf8')))));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  // A clock that goes before ours by less than a day is no reason to fail.
  const toSign = sequence(der(0xa0, der(2, Buffer.from([2]))), der(2, serial), ecdsaWithSha256, subject, sequence(time(nowMs - dayMs), time(nowMs + dayMs)), subject, publicKey.export({ type: 'spki', format: 'der' }));
  const signature = sign('sha256', toSign, privateKey);
  const certificate = sequence(toSign, ecdsaWithSha256, der(3, Buffer.from([0]), signature));
  const lines = certificate.toString('base64').match(/.{1,64}/g)!.join('\n');
  return { keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, certificatePem: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n` };
}
