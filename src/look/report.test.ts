import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { isFailure } from '../base/failure.ts';
import { optionsOfArguments, optionsOfFile } from './options.ts';
import { probeScript } from './probe.ts';
import { readLook } from './report.ts';

const b = (text: string): string => Buffer.from(text).toString('base64');
const process_ = (facts: Record<string, string>): string => ['mongod 812', ...Object.entries(facts).map(([name, text]) => `${name} ${b(text)}`)].join('\n');
const report = (...processes: string[]): string => ['tidemark-look 1', `hostname ${b('db1')}`, `kernel ${b('Linux 6.1')}`, `machine ${b('x86_64')}`, `glibc ${b('glibc 2.36')}`, `systemd ${b('systemd 252 (252.38)')}`, `user ${b('0')}`, `space ${b('/opt')} ${b('/dev/vda  1000 400  600 40% /')}`, ...processes, 'end', ''].join('\n');

const usual = {
  comm: 'mongod',
  exe: '/usr/bin/mongod',
  cwd: '/',
  status: 'Uid:\t999\t999\t999\t999\nGid:\t999\t999\t999\t999\n',
  mountinfo: '25 1 254:0 / / rw - ext4 /dev/vda rw\n26 25 8:1 / /data rw - xfs /dev/sdb rw\n27 25 8:2 / /log rw - xfs /dev/sdc rw\n',
  tcp: '0: 0100007F:6A01 00000000:0000 0A 0:0 0:0 0 0 0 4711 1\n1: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 4712 1\n',
  files: '/data/rs0/WiredTiger.lock\n/log/journal/WiredTigerLog.0000000001\nsocket:[4711]\n',
  df: '/dev/sdb 1000 400 600 40% /data',
  xfs: 'reflink=1',
  version: 'db version v6.0.5',
};

test('what a mongod shows counts before what its options say, and the options say the rest', () => {
  const look = readLook(report(process_({ ...usual, cmdline: ['mongod', '--config', '/etc/mongod.conf', '--replSet', 'rs0/db2:27017', ''].join('\0'), config: '/etc/mongod.conf', configtext: 'storage:\n  dbPath: "/var/lib/link to data"\nnet:\n  port: 27018\n  bindIp: localhost, db1.example\n  tls: {mode: requireTLS}\nsecurity: {keyFile: /etc/key}\n' })), 'db1');
  assert.deepEqual([look.hostname, look.glibc, look.systemd, look.asRoot, look.space], ['db1', '2.36', 252, true, [{ path: '/opt', freeBytes: 614_400 }]]);
  assert.deepEqual(look.mongods, [
    {
      pid: 812, uid: 999, binary: '/usr/bin/mongod', version: '6.0.5', dbPath: '/data/rs0', port: 27_137, listening: [{ address: '127.0.0.1', port: 27_137 }], bindIp: ['localhost', 'db1.example'],
      replicaSet: 'rs0', clusterRole: null, storageEngine: 'wiredTiger', directoryPerDb: false, encryptedAtRest: false, tls: 'requireTLS', keyFile: '/etc/key', configFile: '/etc/mongod.conf',
      journalPath: '/log/journal', journalElsewhere: true, logPath: null, inContainer: false, notes: [],
      fileSystem: { kind: 'xfs', mountPoint: '/data', device: '/dev/sdb', readOnly: false, freeBytes: 614_400, totalBytes: 1_024_000, reflink: 'yes' },
    },
  ]);
});

test('without the right to see open files the options are taken, and a note says so', () => {
  const { comm, exe, cwd, status, mountinfo } = usual;
  const [mongod] = readLook(report(process_({ comm, exe, cwd, status, mountinfo, cmdline: ['mongod', '--shardsvr', '--dbpath', 'data/x', ''].join('\0') })), 'db1').mongods;
  assert.deepEqual([mongod?.dbPath, mongod?.port, mongod?.clusterRole, mongod?.version], ['/data/x', 27_018, 'shardsvr', null]);
  assert.match(mongod?.notes.join('; ') ?? '', /open files could not be seen.*did not tell its version/);
});

test('programs that only sound like mongod are none', () => {
  const named = (exe: string, comm: string) => readLook(report(process_({ exe, comm, cmdline: 'x\0' })), 'db1').mongods.length;
  assert.deepEqual(['/usr/bin/mongodump', '/usr/bin/mongodb_exporter', '/usr/bin/mongod', '/opt/x/mongod-6.0', '/usr/bin/percona-mongod', '/usr/bin/mongod (deleted)'].map((exe) => named(exe, 'mongod')), [0, 0, 1, 1, 1, 1]);
  assert.equal(readLook(report(process_({ exe: '', comm: 'mongod', cmdline: '' })), 'db1').mongods.length, 0, 'one that has ended');
});

test('an answer that was cut off or is something else is refused', () => {
  for (const text of ['', 'Welcome!', report().replace('end\n', ''), report().replace('look 1', 'look 2')]) assert.throws(() => readLook(text, 'db1'), (error) => isFailure(error, { code: 'look.answer-broken' }));
});

test('command lines are read in every form mongod takes', () => {
  const options = (line: string) => Object.fromEntries(optionsOfArguments(line.split(' ')));
  assert.deepEqual(options('--dbpath /a --port=27018 --bind_ip_all --sslMode preferSSL --configsvr --directoryperdb'), {
    'storage.dbPath': '/a', 'net.port': '27018', 'net.bindIpAll': 'true', 'net.tls.mode': 'preferSSL', 'sharding.clusterRole': 'configsvr', 'storage.directoryPerDB': 'true',
  });
  assert.deepEqual(options('--port'), {});
});

test('configuration files are read nested, dotted, in the old form, and with what is only made at start', () => {
  const read = (text: string) => Object.fromEntries(optionsOfFile(text).options);
  assert.equal(read('# c\nstorage:\n  dbPath: \'/data/it\'\'s here\'\n')['storage.dbPath'], '/data/it\'s here');
  assert.equal(read('net.port: 27018\nnet.ssl.mode: requireSSL\n')['net.tls.mode'], 'requireSSL');
  assert.equal(read('x: &d /data/db\nstorage: {dbPath: *d}')['storage.dbPath'], '/data/db');
  assert.deepEqual(read('dbpath = "/old form"   # comment\nport=27018\nbind_ip_all = true\n'), { 'storage.dbPath': '/old form', 'net.port': '27018', 'net.bindIpAll': 'true' });
  const made = optionsOfFile('net: {port: {__exec: "echo 27018", type: string}}\nreplication: {replSet: old}');
  assert.deepEqual([made.expanded, made.options.get('net.port'), made.options.get('replication.replSetName')], [['net.port'], undefined, 'old']);
  assert.deepEqual(optionsOfFile('__rest: "https://config/x"').expanded, ['']);
  assert.match(optionsOfFile('\u0000\u0001').problem ?? '', /no known form/);
  assert.equal(optionsOfFile('').problem, null);
});

test('a file of aliases within aliases is refused rather than unfolded', () => {
  const bomb = ['a0: &a0 [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 9 }, () => `*a${n}`).join(',')}]`)].join('\n');
  assert.match(optionsOfFile(bomb).problem ?? '', /no known form/);
});

test('no text whatever makes the reading fail in a way of its own', () => {
  const facts = fc.dictionary(fc.constantFrom('cmdline', 'status', 'mountinfo', 'tcp', 'files', 'df', 'xfs', 'config', 'configtext', 'version', 'exe'), fc.string({ maxLength: 60 }));
  fc.assert(fc.property(facts, (one) => void readLook(report(process_({ ...one, exe: '/usr/bin/mongod' })), 'db1')));
  fc.assert(fc.property(fc.string(), (text) => void optionsOfFile(text)));
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        readLook(`tidemark-look 1\n${text}\nend`, 'db1');
      } catch (error) {
        assert.ok(isFailure(error, { code: 'look.answer-broken' }));
      }
    }),
  );
});

test('the script is one that a plain POSIX shell reads', () => {
  for (const shell of ['/bin/sh', '/bin/dash', '/bin/bash']) {
    const { status, stderr } = spawnSync(shell, ['-n'], { input: probeScript, encoding: 'utf8' });
    if (status !== null) assert.equal(`${status}${stderr}`, '0', shell);
  }
});
