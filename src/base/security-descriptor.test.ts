import assert from 'node:assert/strict';
import { test } from 'node:test';
import { administrators, localSystem, mayChange, readSecurity, rightsFor } from './security-descriptor.ts';

test('rights that are made for the system and administrators are read back as theirs alone, closed to what stands above', () => {
  assert.deepEqual(readSecurity(rightsFor([localSystem, administrators])), { owner: null, isProtected: true, allowed: [{ account: localSystem, mask: 0x1f01ff }, { account: administrators, mask: 0x1f01ff }] });
});

test('the rights of C:\\ProgramData, as Windows gives them, name its owner and everybody who may do something there', () => {
  // O:SYG:SYD:AI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)
  const bytes = Buffer.from(
    [
      '01000484' + '98000000' + 'a4000000' + '00000000' + '14000000',
      '0200' + '8400' + '0500' + '0000',
      '0003' + '1400' + 'ff011f00' + '010100000000000512000000',
      '0003' + '1800' + 'ff011f00' + '01020000000000052000000020020000',
      '000b' + '1400' + '00000010' + '010100000000000300000000',
      '0003' + '1800' + 'a9001200' + '01020000000000052000000021020000',
      '0002' + '1800' + '16000000' + '01020000000000052000000021020000',
    ].join(''),
    'hex',
  );
  const owner = Buffer.from('010100000000000512000000', 'hex');
  const whole = Buffer.concat([bytes, Buffer.alloc(0x98 - bytes.length), owner, owner]);
  assert.deepEqual(readSecurity(whole), { owner: localSystem, isProtected: false, allowed: [{ account: localSystem, mask: 0x1f01ff }, { account: administrators, mask: 0x1f01ff }, { account: 'S-1-3-0', mask: 0 }, { account: 'S-1-5-32-545', mask: 0x1200bf }] });
});

test('no list of rights is no list, and an entry that refuses somebody allows nobody', () => {
  const none = Buffer.from('0100048000000000000000000000000000000000', 'hex');
  assert.deepEqual(readSecurity(none), { owner: null, isProtected: false, allowed: null });
  const refusing = rightsFor([administrators]);
  refusing.writeUInt8(1, 28);
  assert.deepEqual(readSecurity(refusing).allowed, []);
});

test('to write, append, rename, delete, and to change attributes, rights or owner are changes; to read and to run are none', () => {
  // FILE_WRITE_DATA, FILE_APPEND_DATA, FILE_WRITE_EA, FILE_WRITE_ATTRIBUTES, DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE
  for (const mask of [0x2, 0x4, 0x10, 0x100, 0x10000, 0x40000, 0x80000, 0x10000000, 0x40000000]) assert.ok(mayChange({ account: 'S-1-1-0', mask: mask | 0x1200a9 }), mask.toString(16));
  for (const mask of [0, 0x1200a9, 0x80000000, 0x20000000]) assert.ok(!mayChange({ account: 'S-1-1-0', mask }), mask.toString(16));
});

test('bytes that are cut short or lie about their lengths are refused', () => {
  const whole = rightsFor([localSystem, administrators]);
  for (let length = 0; length < whole.length; length++) assert.throws(() => readSecurity(whole.subarray(0, length)), RangeError, `${length} of ${whole.length}`);
  const short = rightsFor([localSystem]);
  short.writeUInt16LE(0, 30);
  assert.throws(() => readSecurity(short), RangeError);
  const beyond = rightsFor([localSystem]);
  beyond.writeUInt32LE(1 << 30, 16);
  assert.throws(() => readSecurity(beyond), RangeError);
});
