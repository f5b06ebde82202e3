/**
 * The server's package as an operator installs it: the backup server under its unit on one whole host, the distribution
 * server under its own on another, which enrols with a kit and hands out a package.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { putHook, showingHook, startMongodOn } from '../kit/mongod-on-host.ts';
import { openPackages } from '../kit/packages.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost } from '../kit/whole-host.ts';

type Packages = { packages: { name: string; version: string }[] };

/** A command on the host; when it fails, what the services there last said is the reason. */
async function json<T>(host: WholeHost, ...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await host.run('tidemark', [...words, '--json'], { deadlineMs: 40_000 });
  if (code === 0) return JSON.parse(stdout) as T;
  const { stdout: log } = await host.run('tail', ['-n', '20', '/var/lib/tidemark/log/server.log']);
  return assert.fail(`tidemark ${words.join(' ')} ended with ${code}: ${stderr}\n${log}`);
}

async function install(host: WholeHost, deb: string): Promise<void> {
  host.copyIn(deb, '/root/server.deb');
  await host.ok('dpkg', ['-i', '/root/server.deb'], { deadlineMs: 60_000 });
}

/** A package with nothing in it but its name: what the distribution server hands out is not opened by it. */
function smallPackage(place: string): string {
  const stem = 'tidemark-transport-9.0.0';
  mkdirSync(join(place, stem));
  writeFileSync(join(place, stem, 'package.json'), JSON.stringify({ name: 'tidemark-transport', version: '9.0.0' }));
  const file = join(place, `${stem}-linux-${process.arch}.tar.gz`);
  execFileSync('tar', ['-czf', file, '-C', place, stem]);
  return file;
}

/** Programs around a backup on the machine of the server itself, and what their failures mean. */
async function hooksRun(main: WholeHost): Promise<void> {
  await startMongodOn(main);
  await json(main, 'set', 'add', `mongodb://${main.address}:27117/?replicaSet=rs0`);
  const add = async (program: string, when: 'before' | 'after', ...more: string[]): Promise<string> => (await json<{ id: string }>(main, 'hook', 'add', 'rs0', '--program', program, '--when', when, ...more)).id;
  const backUp = async (): Promise<{ code: number; session: string; said: string[]; failure: string | undefined }> => {
    const { code, stdout } = await main.run('tidemark', ['backup', 'run', 'rs0', '--json'], { deadlineMs: 60_000 });
    const ran = JSON.parse(stdout) as { session?: string; failure?: { code: string } };
    const { sessions } = await json<{ sessions: { id: string; kind: string; failure: { code: string } | null }[] }>(main, 'session', 'list');
    const { id, failure } = sessions.find(({ kind }) => kind === 'backup')!;
    const { log } = await json<{ log: { event: { text?: string } }[] }>(main, 'session', 'show', id);
    return { code, session: ran.session ?? id, failure: failure?.code, said: log.flatMap(({ event }) => (event.text === undefined ? [] : [event.text])) };
  };
  await add(putHook(main, 'show', showingHook), 'before', '--arg', 'a b');
  await add('show', 'after');
  const late = await add(putHook(main, 'late', 'sleep 100'), 'before', '--deadline', '1s', '--on-failure', 'warn');
  const made = await backUp();
  assert.equal(made.code, 0, made.said.join('\n'));
  const shown = made.said.flatMap((line) => /^\w+: show: (.*)/.exec(line)?.[1]?.trim() ?? []);
  assert.deepEqual(shown.filter((line) => line.startsWith('user')), ['user root, moment before, set rs0, state , argument a b', 'user root, moment after, set rs0, state success, argument']);
  assert.ok(shown.includes('not /etc/tidemark') && shown.includes('not /usr/local') && shown.includes('writes /srv'), shown.join('\n'));
  assert.ok(made.said.some((line) => line.includes('the hook late before the backup failed: it was not done within 1 s')), made.said.join('\n'));
  await json(main, 'hook', 'remove', late);
  await add('late', 'before', '--deadline', '1s');
  const refused = await backUp();
  assert.deepEqual([refused.code, refused.failure], [1, 'server.hook-failed']);
  assert.ok(refused.said.some((line) => line.includes('moment after, set rs0, state failed')), 'those after the backup run all the same');
}

test('server and distribution server run under the units of their package, each on a host of its own', { skip: whyNoWholeHosts(), timeout: 170_000 }, async (context) => {
  const place = mkdtempSync(join(tmpdir(), 'tm-server-unit-'));
  context.after(() => rmSync(place, { recursive: true, force: true }));
  await using packages = await openPackages();
  const deb = await packages.deb('tidemark-server', '1.0.0');
  await using wholeHosts = await openWholeHosts(2, { sizeMb: 1_500 });
  const [main, store] = wholeHosts.hosts as [WholeHost, WholeHost];
  await install(main, deb);
  await install(store, deb);

  const up = `/opt/tidemark/server/current/bin/tidemark up --data /var/lib/tidemark --hosts ${main.address} --depot ${store.address}:9380`;
  await until('the server to answer', 40_000, async () => ((await main.run('tidemark', ['repository', 'list', '--json'])).code === 0 ? true : undefined), { everyMs: 300 });
  const refused = JSON.parse((await main.run('tidemark', ['node', 'add', 'store', store.address, '--json'])).stdout) as { failure: { code: string } };
  assert.equal(refused.failure.code, 'server.takes-no-hosts', 'as the package starts it, it is alone');
  main.write('/etc/systemd/system/tidemark-server.service.d/hosts.conf', `[Service]\nExecStart=\nExecStart=${up}\n`);
  await main.ok('systemctl', ['daemon-reload']);
  await main.ok('systemctl', ['restart', 'tidemark-server.service'], { deadlineMs: 40_000 });
  await until('the server to answer', 40_000, async () => ((await main.run('tidemark', ['repository', 'list', '--json'])).code === 0 ? true : undefined), { everyMs: 300 });

  await hooksRun(main);

  await json(main, 'node', 'add', 'store', store.address);
  await json(main, 'node', 'kit', 'store', '--part', 'depot', '--kit', '/root/kit.json');
  store.write('/var/lib/tidemark/depot/kit.json', main.read('/root/kit.json'), 0o600);
  await store.ok('systemctl', ['start', 'tidemark-depot.service'], { deadlineMs: 40_000 });
  await until('the distribution server to answer', 40_000, async () => ((await main.run('tidemark', ['package', 'list', '--json'])).code === 0 ? true : undefined), { everyMs: 300 });
  assert.deepEqual((await json<Packages>(main, 'package', 'list')).packages, []);

  const file = smallPackage(place);
  store.copyIn(file, `/root/${basename(file)}`);
  await store.ok('tidemark', ['package', 'add', `/root/${basename(file)}`, '--sign', '--depot-dir', '/var/lib/tidemark/depot']);
  assert.deepEqual((await json<Packages>(main, 'package', 'list')).packages.map(({ name, version }) => `${name} ${version}`), ['tidemark-transport 9.0.0']);

  // Both come back by themselves, with what they knew.
  for (const [host, unit] of [[main, 'tidemark-server'], [store, 'tidemark-depot']] as const) {
    const pid = (await host.ok('systemctl', ['show', '--value', '--property=MainPID', `${unit}.service`])).trim();
    await host.ok('kill', ['-9', pid]);
    await until(`${unit} to run again`, 40_000, async () => {
      const now = (await host.run('systemctl', ['show', '--value', '--property=MainPID', `${unit}.service`])).stdout.trim();
      return now !== '0' && now !== pid ? true : undefined;
    }, { everyMs: 300 });
  }
  const offered = await until('both to answer again', 60_000, async () => {
    const { code, stdout } = await main.run('tidemark', ['package', 'list', '--json']);
    return code === 0 ? (JSON.parse(stdout) as Packages) : undefined;
  }, { everyMs: 500 });
  assert.equal(offered.packages.length, 1);
});
