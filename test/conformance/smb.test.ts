import assert from 'node:assert/strict';
import { chmodSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { isFailure, type Failure } from '../../src/base/failure.ts';
import { randomId } from '../../src/base/ids.ts';
import type { SmbLocation } from '../../src/repository/storage/location.ts';
import { openShare, type ShareOptions } from '../../src/repository/storage/smb.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { noise } from '../kit/archive-scene.ts';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { asPoints, openDataSession, openHosts, servedSet } from '../kit/data-session.ts';
import { openSamba, sharePassword, whyNoSamba, type Samba } from '../kit/samba.ts';
import { storageConformance } from './storage.ts';

const why = whyNoSamba();
const samba: Samba | undefined = why === false ? await openSamba({ after }) : undefined;
/** One that signs and never encrypts. */
const signing: Samba | undefined = why === false ? await openSamba({ after }, { global: ['smb encrypt = off'] }) : undefined;

/** A folder of the test's own on the share; given back with the test. */
async function open(t: TestContext, more: Partial<SmbLocation> = {}, options: ShareOptions = {}, server = samba!): Promise<{ storage: Storage; again: (options?: ShareOptions) => Promise<Storage>; folder: string }> {
  const path = more.path ?? `t/${randomId()}`;
  const openOne = async (other: ShareOptions = {}): Promise<Storage> => {
    const storage = await openShare(server.location({ path, ...more }), sharePassword, { create: true, connections: 2, ...options, ...other });
    t.after(async () => await storage.close!());
    return storage;
  };
  return { storage: await openOne(), again: openOne, folder: join(server.folder, path) };
}

if (why === false) {
  storageConformance('a share, signed', async (t) => await open(t, {}, {}, signing));
  storageConformance('a share, encrypted', async (t) => await open(t, { share: 'sealed', encryption: 'required' }));
}

if (why === false) {
  storageConformance(
    'a share behind a gateway, encrypted',
    async (t) => {
      const [hosts, path] = [await openHosts(t), `t/${randomId()}`];
      const again = async (): Promise<Storage> => {
        const { storage } = await open(t, { path, share: 'sealed', encryption: 'required' });
        return asPoints(await (await openDataSession(t, hosts, { storage })).open(), `sets/${servedSet}`);
      };
      return { storage: await again(), again };
    },
    { many: 120 },
  );
}

const failing = async (location: Partial<SmbLocation>, password = sharePassword): Promise<Failure> => {
  const error: unknown = await openShare(samba!.location({ path: '', ...location }), password).then(
    async (storage) => await storage.close!().then(() => undefined),
    (failed: unknown) => failed,
  );
  assert.ok(isFailure(error), String(error));
  return error;
};

test('a share that cannot be opened says why, and never the password', { skip: why }, async () => {
  const wrong = 'not-the-pässword';
  const cases: [string, Partial<SmbLocation>, string][] = [
    ['repository.share-refused', {}, wrong],
    ['repository.share-refused', { user: 'nobody-here' }, sharePassword],
    ['repository.share-missing', { share: 'nothing' }, sharePassword],
    ['repository.place-missing', { path: 'not/there' }, sharePassword],
    ['repository.share-unreachable', { port: 1 }, sharePassword],
    ['repository.share-unreachable', { server: 'no-such-host.invalid' }, sharePassword],
    ['repository.share-refused', { port: signing!.port, encryption: 'required' }, sharePassword],
  ];
  for (const [code, location, password] of cases) {
    const error = await failing(location, password);
    assert.equal(error.code, code, `${JSON.stringify(location)}: ${error.message}`);
    assert.ok(!JSON.stringify([error.message, error.hint, error.details, error.stack, String(error.cause)]).includes(password), error.message);
  }
});

test('the password of a share stands in no argument and no environment of a process', { skip: why }, async (t) => {
  const { storage } = await open(t);
  await storage.put('a', Buffer.from('a'), 'new');
  const children = childrenOf(process.pid);
  assert.ok(children.length > 0);
  for (const pid of children) {
    for (const file of ['cmdline', 'environ']) assert.ok(!readFileSync(`/proc/${pid}/${file}`).includes('Sm6-p'), `${file} of ${pid}`);
  }
});

test('a server that lets anybody in without a signature is refused, and so is one that speaks no SMB 3', { skip: why }, async (t) => {
  const guests = await openSamba(t, { global: ['map to guest = bad user', 'guest account = nobody'], share: ['guest ok = yes'] });
  const old = await openSamba(t, { global: ['server max protocol = SMB2_10'] });
  const refusal = async (server: Samba, user: string): Promise<string> => await openShare(server.location({ path: '', user }), sharePassword).then(
    async (storage) => await storage.close!().then(() => 'opened'),
    (error: unknown) => (isFailure(error) ? error.code : String(error)),
  );
  assert.equal(await refusal(guests, 'nobody-here'), 'repository.share-refused');
  assert.equal(await refusal(old, 'backup'), 'repository.share-unreachable');
});

test('a full share is told as such, what was stored is intact, and what fits is stored again', { skip: why }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-quota-'));
  chmodSync(folder, 0o755);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', folder]).status, 0);
  t.after(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  const small = await openSamba(t, { folder });
  const storage = await openShare(small.location(), sharePassword, { create: true });
  t.after(async () => await storage.close!());
  const bytes = noise(3_000_000, 1);
  await storage.put('packs/one', bytes, 'new');
  const free = await storage.freeBytes();
  assert.ok(free !== null && free > 4_000_000 && free < 6_000_000, String(free));
  const full = { code: 'repository.storage-full' };
  await assert.rejects(storage.put('packs/two', noise(6_000_000, 2), 'new'), full);
  const writer = await storage.create('packs/three');
  await assert.rejects(async () => {
    for (let k = 0; k < 10; k++) await writer.append(bytes);
    await writer.commit();
  }, full);
  await writer.abort();
  assert.ok(Buffer.from(await storage.read('packs/one')).equals(bytes));
  await storage.put('packs/four', bytes.subarray(0, 2_000_000), 'new');
  assert.deepEqual((await Array.fromAsync(storage.list(''))).map(({ name }) => name).sort(), ['packs/four', 'packs/one']);
  assert.deepEqual(readdirSync(join(folder, 'backups/tidemark/.tmp')), []);
});

const whyNoAudit = why || (globSync('/usr/lib/*/samba/vfs/full_audit.so').length === 0 ? "there is no full_audit of Samba's on this machine" : false);

test('an object has its name only after the server was asked for it on its disk, behind the last byte', { skip: whyNoAudit }, async (t) => {
  const audited = await openSamba(t, { global: ['vfs objects = full_audit', 'full_audit:success = pwrite_send fsync_send renameat', 'full_audit:failure = none', 'full_audit:syslog = false', 'full_audit:prefix = heard', 'log level = 1'] });
  const storage = await openShare(audited.location({ path: '' }), sharePassword, { create: true });
  t.after(async () => await storage.close!());
  await storage.put('small', noise(1_000, 1), 'new');
  const writer = await storage.create('large');
  const piece = noise(2_000_000, 2);
  for (let k = 0; k < 12; k++) await writer.append(piece);
  await writer.commit();
  const logs = readdirSync(audited.logFolder, { withFileTypes: true }).filter((entry) => entry.isFile());
  const said = logs.map(({ name }) => readFileSync(join(audited.logFolder, name), 'utf8')).join('\n');
  const calls = [...said.matchAll(/heard\|(\w+)\|ok\|(.*)/g)].map(([, call, about]) => ({ call: call!, about: about! }));
  for (const [name, flushes] of [['small', 1], ['large', 2]] as const) {
    const move = calls.findIndex(({ call, about }) => call === 'renameat' && about.endsWith(name));
    const [temporary] = /\.tmp\/[0-9a-f]{24}/.exec(calls[move]?.about ?? '') ?? [];
    assert.ok(temporary !== undefined, `${name} was renamed: ${said.slice(-2_000)}`);
    const before = calls.slice(0, move).filter(({ about }) => about.includes(temporary)).map(({ call }) => call);
    assert.equal(before.at(-1), 'fsync_send', before.join());
    assert.ok(before.filter((call) => call === 'fsync_send').length >= flushes, before.join());
  }
});

const whyNoQuota = why || (['mkfs.btrfs', 'btrfs', 'mount'].some((name) => spawnSync('sh', ['-c', `command -v ${name}`]).status !== 0) ? 'there is no btrfs on this machine' : false);

test('a quota that is used up is told as a full share, and what is free is what the quota leaves', { skip: whyNoQuota }, async (t) => {
  const home = mkdtempSync(join(tmpdir(), 'tidemark-quota-'));
  const folder = join(home, 'share');
  chmodSync(home, 0o755);
  mkdirSync(folder);
  const tell = (program: string, ...args: string[]): void => {
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' });
    assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`);
  };
  tell('truncate', '-s', '256M', join(home, 'disk'));
  tell('mkfs.btrfs', '-q', join(home, 'disk'));
  tell('mount', '-o', 'loop', join(home, 'disk'), folder);
  t.after(() => {
    spawnSync('umount', ['-l', folder]);
    rmSync(home, { recursive: true, force: true });
  });
  tell('btrfs', 'quota', 'enable', folder);
  tell('btrfs', 'qgroup', 'limit', '16M', folder);
  // As an administrator tells smbd: kind, used, soft, hard, and the same of files; in blocks of 1,024 bytes.
  writeFileSync(join(home, 'quota'), '#!/bin/sh\necho 2 4096 16384 16384 0 0 0 1024\n', { mode: 0o755 });
  const limited = await openSamba(t, { folder, global: [`get quota command = ${join(home, 'quota')}`] });
  const storage = await openShare(limited.location(), sharePassword, { create: true });
  t.after(async () => await storage.close!());
  const bytes = noise(4_000_000, 1);
  await storage.put('packs/one', bytes, 'new');
  assert.equal(await storage.freeBytes(), 12 << 20);
  await assert.rejects(storage.put('packs/two', noise(16_000_000, 2), 'new'), { code: 'repository.storage-full' });
  assert.ok(Buffer.from(await storage.read('packs/one')).equals(bytes));
  assert.deepEqual((await Array.fromAsync(storage.list(''))).map(({ name }) => name), ['packs/one']);
});

test('on an encrypted share neither names nor bytes can be read on the way; on one that only signs they can', { skip: why }, async (t) => {
  const bytes = noise(300_000, 5);
  for (const [server, encryption, isReadable] of [[samba!, 'required', false], [signing!, 'if-offered', true]] as const) {
    const heard: Buffer[] = [];
    const listener = createServer((client) => {
      const onward = connect(server.port, '127.0.0.1');
      for (const [from, to] of [[client, onward], [onward, client]] as const) from.on('data', (piece: Buffer) => heard.push(piece)).on('error', () => to.destroy()).pipe(to);
    });
    t.after(() => void listener.close());
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const { storage } = await open(t, { port: (listener.address() as AddressInfo).port, encryption, ...(encryption === 'required' && { share: 'sealed' }) }, { connections: 1 }, server);
    await storage.put('tell-tale', bytes, 'new');
    assert.ok(Buffer.from(await storage.read('tell-tale')).equals(bytes));
    const all = Buffer.concat(heard);
    assert.ok(all.length > 600_000, 'all of it went this way');
    assert.equal(all.includes(Buffer.from('tell-tale', 'utf16le')), isReadable);
    assert.equal(all.includes(bytes.subarray(100_000, 100_500)), isReadable);
  }
});

test('of ten at once by two movers exactly one is stored, and each replacement is whole', { skip: why }, async (t) => {
  const { storage, again } = await open(t);
  const other = await again();
  const answers = await Promise.all(Array.from({ length: 10 }, async (_, k) => await (k % 2 === 0 ? storage : other).put('lock', Buffer.alloc(2000, k), 'new')));
  assert.equal(answers.filter((answer) => answer === 'stored').length, 1);
  assert.deepEqual(new Set(await other.read('lock')), new Set([answers.indexOf('stored')]));
  await Promise.all([storage, other].map(async (one, which) => {
    for (let k = 0; k < 10; k++) {
      await one.put('sign', Buffer.alloc(2000 + k, which), 'replace');
      const seen = await one.read('sign');
      assert.equal(new Set(seen).size, 1, 'it was never half of each, and never absent');
    }
  }));
});

test('an object that is being read by one mover is deleted by another as soon as it is read', { skip: why }, async (t) => {
  const { storage, again } = await open(t);
  const other = await again();
  await storage.put('pack', noise(100_000, 1), 'new');
  await other.read('pack', { from: 10, bytes: 10 });
  await storage.delete('pack');
  assert.equal(await storage.stat('pack'), undefined);
});

test('what a dead writer left is removed by the next one that writes once it is old, and never what a living one writes', { skip: why }, async (t) => {
  const { storage, again, folder } = await open(t);
  const live = await storage.create('live');
  await live.append(Buffer.alloc(5_000_000, 1));
  // Pieces are written behind the caller's back.
  const left = await until('the file of the living writer', 20_000, () => [readdirSync(join(folder, '.tmp'))].find((names) => names.length === 1));
  writeFileSync(join(folder, '.tmp', 'dead'), 'half');
  const old = new Date(Date.now() - 3_600_000);
  for (const name of [...left, 'dead']) utimesSync(join(folder, '.tmp', name), old, old);
  await (await again()).put('other', Buffer.from('x'), 'new');
  assert.deepEqual(readdirSync(join(folder, '.tmp')), left);
  await live.commit();
  assert.equal((await storage.read('live')).length, 5_000_000);
});

test('opening a share and reading from it writes nothing into it', { skip: why }, async (t) => {
  const path = `t/${randomId()}`;
  mkdirSync(join(samba!.folder, path), { recursive: true });
  writeFileSync(join(samba!.folder, path, 'one'), 'text');
  const storage = await openShare(samba!.location({ path }), sharePassword);
  t.after(async () => await storage.close!());
  assert.equal(Buffer.from(await storage.read('one')).toString(), 'text');
  assert.deepEqual(readdirSync(join(samba!.folder, path)), ['one']);
});

test('names that Windows keeps for itself are stored under others, and found again', { skip: why }, async (t) => {
  const { storage, folder } = await open(t);
  const names = ['aux', 'con.json', 'dir/x.', 'plain-name_1.0'];
  for (const name of names) await storage.put(name, Buffer.from(name), 'new');
  assert.deepEqual((await Array.fromAsync(storage.list(''))).map(({ name }) => name).sort(), names);
  for (const name of names) assert.equal(Buffer.from(await storage.read(name)).toString(), name);
  assert.deepEqual(readdirSync(folder).sort(), ['%61ux', '%63on.json', '.tmp', 'dir', 'plain-name_1.0']);
});

/** A share behind a proxy that strikes at the given byte: what is in it afterwards must be what was said. */
async function openStruck(t: TestContext, strike: () => Promise<void>) {
  const proxy = await openCuttingProxy(t, [samba!.port]);
  const { storage, folder } = await open(t, { port: proxy.ports[0]! }, { connections: 1, retryMs: 30_000 });
  const at = async <T>(byte: number, work: () => Promise<T>): Promise<T> => {
    const cuts = proxy.cuts;
    proxy.cutAt(proxy.bytes + byte);
    const done = work();
    const struck = until('the strike', 30_000, () => (proxy.cuts > cuts ? true : undefined), { everyMs: 2 }).then(async () => {
      await strike();
      proxy.cutAll();
    });
    const [answer] = await Promise.all([done, struck]);
    return answer;
  };
  return { storage, folder, proxy, at };
}

const strikes: [string, () => Promise<void>][] = [
  ['the connection cut', async () => {}],
  ['smbd killed', async () => {
    await samba!.kill();
    await samba!.start();
  }],
];

for (const [what, strike] of strikes) {
  test(`${what} in the middle of every call of a put: it is stored once, and never taken for somebody else's`, { skip: why }, async (t) => {
    const { storage, folder, proxy, at } = await openStruck(t, strike);
    const bytes = noise(50_000, 1);
    await storage.put('a/first', bytes, 'new');
    const before = proxy.bytes;
    await storage.put('a/second', bytes, 'new');
    const whole = proxy.bytes - before;
    const steps = what === 'smbd killed' ? 4 : 10;
    for (let k = 0; k < steps; k++) {
      const name = `a/${k}`;
      assert.equal(await at(Math.floor(((k + 0.5) * whole) / steps), async () => await storage.put(name, bytes, 'new')), 'stored', `step ${k}`);
      assert.ok(Buffer.from(await storage.read(name)).equals(bytes));
      assert.equal(await storage.put(name, bytes, 'new'), 'exists');
    }
    assert.deepEqual(readdirSync(join(folder, '.tmp')), []);
  });

  test(`${what} in the middle of a large object, of a replacement, a deletion, a list and a read: each is what it says`, { skip: why }, async (t) => {
    const { storage, folder, at } = await openStruck(t, strike);
    const bytes = noise(6_000_000, 2);
    for (const byte of [100, 2_500_000, 6_000_600]) {
      await at(byte, async () => {
        const writer = await storage.create(`packs/${byte}`);
        for (let from = 0; from < bytes.length; from += 500_000) await writer.append(bytes.subarray(from, from + 500_000));
        await writer.commit();
      });
      assert.ok(readFileSync(join(folder, `packs/${byte}`)).equals(bytes), `cut at ${byte}`);
    }
    assert.equal(await at(3_000, async () => await storage.put('packs/100', Buffer.from('new'), 'replace')), 'stored');
    assert.equal(Buffer.from(await at(100, async () => await storage.read('packs/100'))).toString(), 'new');
    assert.ok(Buffer.from(await at(3_000_000, async () => await storage.read('packs/2500000'))).equals(bytes));
    await at(200, async () => await storage.delete('packs/100'));
    const names = await at(150, async () => (await Array.fromAsync(storage.list('packs/'))).map(({ name }) => name));
    assert.deepEqual(names.sort(), ['packs/2500000', 'packs/6000600']);
    assert.equal(await at(50, async () => await storage.stat('packs/100')), undefined);
    assert.deepEqual(readdirSync(join(folder, '.tmp')), []);
  });
}

test('100,000 objects, half of them in one folder, are listed each once, with their sizes', { skip: why }, async (t) => {
  const { storage, folder } = await open(t);
  const wanted = Array.from({ length: 100_000 }, (_, k) => (k < 50_000 ? `packs/${k.toString(16).padStart(8, '0')}` : `packs/${(k % 256).toString(16).padStart(2, '0')}/${k.toString(16).padStart(8, '0')}`));
  for (const below of new Set(wanted.map((name) => dirname(name)))) mkdirSync(join(folder, below), { recursive: true });
  // Laid on the server's disk: what is tried is the list, and each put is flushed there.
  for (const name of wanted) writeFileSync(join(folder, name), 'twelve bytes');
  const found = new Set<string>();
  for await (const { name, bytes } of storage.list('packs/')) {
    assert.ok(bytes === 12 && !found.has(name), name);
    found.add(name);
  }
  assert.deepEqual([found.size, wanted.filter((name) => !found.has(name))], [100_000, []]);
});

test('a server that is away for too long fails what was asked of it with its name, and is used again when it is back', { skip: why }, async (t) => {
  const own = await openSamba(t);
  const storage = await openShare(own.location(), sharePassword, { create: true, retryMs: 300 });
  t.after(async () => await storage.close!());
  await storage.put('one', Buffer.from('1'), 'new');
  await own.kill();
  await assert.rejects(storage.put('two', Buffer.from('2'), 'new'), { code: 'repository.share-unreachable' });
  await own.start();
  assert.equal(await storage.put('two', Buffer.from('2'), 'new'), 'stored');
});

test('a server that answers nothing is given up after the time of an answer, and its process is gone', { skip: why }, async (t) => {
  const proxy = await openCuttingProxy(t, [samba!.port]);
  const { storage } = await open(t, { port: proxy.ports[0]! }, { answerMs: 1_000, retryMs: 200, connections: 1 });
  await storage.put('one', Buffer.from('1'), 'new');
  const [child] = childrenOf(process.pid).filter((pid) => /share-child/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))).slice(-1);
  process.kill(child!, 'SIGSTOP');
  await assert.rejects(storage.stat('one'), { code: 'repository.share-unreachable' });
  await until('the end of its process', 10_000, () => {
    try {
      readlinkSync(`/proc/${child}/exe`);
    } catch {
      return true;
    }
    return undefined;
  });
});

test('a child that is killed is nothing but a lost connection', { skip: why }, async (t) => {
  const { storage } = await open(t, {}, { connections: 1 });
  const writer = await storage.create('one');
  const bytes = noise(9_000_000, 4);
  await writer.append(bytes.subarray(0, 5_000_000));
  for (const pid of childrenOf(process.pid).filter((one) => /share-child/.test(readFileSync(`/proc/${one}/cmdline`, 'utf8')))) process.kill(pid, 'SIGKILL');
  await writer.append(bytes.subarray(5_000_000));
  await writer.commit();
  assert.ok(Buffer.from(await storage.read('one')).equals(bytes));
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((word) => word !== '').map(Number);
}
