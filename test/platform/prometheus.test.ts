/** A real Prometheus with the scrape job and the alert rules that are shipped, as docs/design/metrics.md has an operator set it up: row 26 of the port plan. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import { freePort } from '../kit/free-port.ts';
import { failWith } from '../kit/fake-transport.ts';
import { scratch } from '../kit/scratch.ts';
import { openServerPlatform } from '../kit/server-platform.ts';

const shipped = join(import.meta.dirname, '../../packaging/monitoring');
const program = '/usr/bin/prometheus';
const why = existsSync(program) ? false : 'there is no prometheus on this machine';

type Sample = { metric: Record<string, string>; value: [number, string] };
type Target = { health: string; lastError: string; scrapeUrl: string };
type Rule = { name: string; health: string; lastError?: string; state: string; alerts: { labels: Record<string, string> }[] };
type Prometheus = { query(text: string): Promise<Sample[]>; targets(): Promise<Target[]>; rules(): Promise<Rule[]> };

async function openPrometheus(t: TestContext, home: string, configuration: string): Promise<Prometheus> {
  const config = join(home, 'prometheus.yml');
  writeFileSync(config, configuration);
  const port = await freePort();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, `--config.file=${config}`, `--storage.tsdb.path=${join(home, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let says = '';
  child.stderr.on('data', (part: Buffer) => (says += part.toString()));
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  });
  const ask = async (path: string): Promise<any> => {
    const answer = (await (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json()) as { status: string; data: any; error?: string };
    assert.equal(answer.status, 'success', answer.error);
    return answer.data;
  };
  await until('prometheus to be ready', 30_000, async () => {
    assert.equal(child.exitCode, null, says);
    return await fetch(`http://127.0.0.1:${port}/-/ready`).then((answer) => (answer.ok ? true : undefined), () => undefined);
  });
  return {
    query: async (text) => (await ask(`query?query=${encodeURIComponent(text)}`)).result,
    targets: async () => (await ask('targets?state=active')).activeTargets,
    rules: async () => (await ask('rules?type=alert')).groups.flatMap(({ rules }: { rules: Rule[] }) => rules),
  };
}

test('Prometheus scrapes the server with the shipped job, knows the shipped alerts, and sees a set become protected', { skip: why }, async (t) => {
  const home = mkdtempSync(join(scratch, 'tm-prometheus-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  await using platform = await openServerPlatform();
  // What is archived is of now: a promise about loss is kept or broken by that.
  platform.fake.through = { t: Math.floor(systemClock.now() / 1000), i: 1, term: 1 };
  await platform.addSet();
  copyFileSync(join(platform.data, 'metrics.token'), join(home, 'tidemark.token'));
  copyFileSync(platform.server.caFile, join(home, 'tidemark-ca.pem'));
  copyFileSync(join(shipped, 'tidemark-rules.yml'), join(home, 'tidemark-rules.yml'));
  const { host } = new URL(platform.server.url);
  const job = readFileSync(join(shipped, 'prometheus.yml'), 'utf8').replaceAll('/etc/prometheus/', `${home}/`).replace('tidemark.example:9419', host).replace('30s', '1s');
  assert.ok(job.includes(`"${host}"`) && job.includes('scrape_interval: 1s'), 'the shipped job is what is tried');
  const prometheus = await openPrometheus(t, home, `global:\n  evaluation_interval: 1s\n${job}`);

  const [target] = await until('the first scrape', 30_000, async () => [await prometheus.targets()].find(([one]) => one !== undefined && one.health !== 'unknown'));
  assert.deepEqual(target, { ...target, health: 'up', lastError: '', scrapeUrl: `https://${host}/metrics` });
  const valueOf = async (query: string): Promise<number | undefined> => [await prometheus.query(query)].map(([one]) => (one === undefined ? undefined : Number(one.value[1])))[0];
  assert.equal(await valueOf('tidemark_build_info{job="tidemark",version="9.9.9"}'), 1);

  const names = [...readFileSync(join(shipped, 'tidemark-rules.yml'), 'utf8').matchAll(/- alert: (\S+)/g)].map(([, name]) => name);
  const alertOf = async (name: string): Promise<Rule> => (await prometheus.rules()).find((rule) => rule.name === name)!;
  const pending = await until('the alert that nothing protects the set', 30_000, async () => [await alertOf('TidemarkSetUnprotected')].find(({ state }) => state === 'pending'));
  assert.deepEqual(pending.alerts.map(({ labels }) => [labels['set'], labels['severity']]), [['rs0', 'critical']]);
  assert.equal(await valueOf('tidemark_set_protected{set="rs0"}'), 0);
  assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'success');
  await until('a scrape behind the backup', 30_000, async () => ((await valueOf('tidemark_sessions_ended_total{kind="backup",state="success"}')) === 1 ? true : undefined));
  assert.deepEqual([await valueOf('tidemark_set_protected{set="rs0"}'), await valueOf('tidemark_set_points{set="rs0"}')], [1, 1]);
  await until('the alert to be over', 30_000, async () => ((await alertOf('TidemarkSetUnprotected')).state === 'inactive' ? true : undefined));

  assert.equal(await valueOf('tidemark_sessions_ended_total{kind="backup",state="failed"}'), 0, 'a counter rises from what it was');
  platform.fake.scripts.backup = async () => await Promise.reject(failWith('mongo.not-reached', 'no member answers'));
  for (let times = 0; times < 3; times++) assert.equal((await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id)).state, 'failed');
  await until('the alert that backups fail', 30_000, async () => ((await alertOf('TidemarkBackupsFail')).state === 'firing' ? true : undefined));
  const rules = await until('each rule to be reckoned', 30_000, async () => [await prometheus.rules()].find((all) => all.length > 0 && all.every(({ health }) => health !== 'unknown')));
  assert.deepEqual(rules.map(({ name, health, lastError }) => [name, health, lastError ?? '']), names.map((name) => [name, 'ok', '']));
});

test('a Prometheus with another token, or that knows another authority, is told so, and reads nothing', { skip: why }, async (t) => {
  const home = mkdtempSync(join(scratch, 'tm-prometheus-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  await using platform = await openServerPlatform();
  const { host } = new URL(platform.server.url);
  writeFileSync(join(home, 'false.token'), 'not-the-token');
  const job = (name: string, token: string, tls: string): string => `  - job_name: ${name}
    scheme: https
    scrape_interval: 1s
    authorization: { credentials_file: ${token} }
    tls_config: ${tls}
    static_configs: [{ targets: ["${host}"] }]
`;
  const token = join(platform.data, 'metrics.token');
  const prometheus = await openPrometheus(t, home, `scrape_configs:\n${job('token', join(home, 'false.token'), `{ ca_file: ${platform.server.caFile} }`)}${job('authority', token, '{}')}`);
  const targets = await until('both to be tried', 30_000, async () => [await prometheus.targets()].find((all) => all.length === 2 && all.every(({ health }) => health === 'down')));
  const said = targets.map(({ lastError }) => lastError).sort();
  assert.match(said.join('\n'), /401/);
  assert.match(said.join('\n'), /certificate signed by unknown authority/);
  assert.deepEqual(await prometheus.query('{__name__=~"tidemark_.+"}'), []);
});
