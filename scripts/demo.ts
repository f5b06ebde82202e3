/**
 * `npm run demo [-- --keep] [-- --json]`: a throw-away replica set at work, an accident, and every moment back.
 *
 * Compares what comes back with a ledger that the writers kept and with dbHash taken at the moment; ends with 0 only if
 * everything matched. --keep leaves all of it running to look around; --json prints one document at the end.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkpointMembers, openReplicaSet } from '../test/kit/replica-set.ts';
import { loadDataSet, sizeOfDataSet } from './bench/data-set.ts';
import { openVolume } from './bench/volume.ts';
import { startTidemark } from './demo/commands.ts';
import { DATABASE, openAccounts, openShop } from './demo/shop.ts';
import { megabytes, openStage, seconds, thousands, type Stage } from './demo/stage.ts';
import { accident, backUp, collectionBack, findTheAccident, letThemWork, wholeSetBack, type Cast } from './demo/story.ts';
import { openLedger } from './torture/ledger.ts';

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false }, json: { type: 'boolean', default: false }, seed: { type: 'string', default: '1' }, scale: { type: 'string', default: '0.05' } } });
const stage = openStage(values.json ? process.stderr : process.stdout);
const startedMs = performance.now();
const measured: Record<string, unknown> = {};
const wrong: string[] = [];
/** Ctrl-C ends the play, or the looking around after it; both clean up. */
let onInterrupt = (_: Error): void => {};
const interrupted = new Promise<never>((_, reject) => (onInterrupt = reject));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => onInterrupt(new Error(`interrupted by ${signal}`)));

async function play(stack: AsyncDisposableStack): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tm-demo-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  stack.defer(() => endRestored(directory));
  stage.act('A live replica set');
  const volume = stack.use(await openVolume(directory, 'volume', 8, (line) => stage.say(line)));
  // Where files cannot be cloned, a copy waits for the end of a checkpoint: those come once a minute unless asked for.
  const args = volume.fileSystem === 'xfs' ? [] : ['--syncdelay', '10'];
  const set = stack.use(await stage.during('three members of a replica set start', async () => await openReplicaSet({ name: DATABASE, directory: join(volume.directory, 'set'), oplogSizeMb: 512, args })));
  const client = await set.client({ connections: 20 });
  stack.defer(async () => await client.close());
  const db = client.db(DATABASE);
  await stage.during('customers, orders, events and products are loaded', async () => {
    await loadDataSet({ db, scale: Number(values.scale), seed: values.seed });
    await openAccounts(client);
    // As if it had been there for a while: else each proof would replay the load.
    await checkpointMembers(set);
  });
  const size = await sizeOfDataSet(db);
  stage.say(`MongoDB ${set.mongoVersion}, ${thousands(size.documents)} documents, ${megabytes(size.bsonBytes)}; four writers sell, pay in transactions and edit customers`);
  const ledger = openLedger();
  let dropped = false;
  const shop = openShop(client, ledger, values.seed, (collection) => collection !== 'customers' || !dropped);
  stack.defer(async () => await shop.stop());

  stage.act('Protected with the ordinary commands');
  const tidemark = stack.use(await startTidemark(join(directory, 'tidemark'), stage));
  await tidemark.run('set', 'add', set.uri, '--name', DATABASE);
  const cast: Cast = { stage, directory, set, client, shop, ledger, tidemark, measured, wrong };
  await backUp(cast, 'full');
  await letThemWork(cast, 6_000);
  await backUp(cast, 'incremental');
  await letThemWork(cast, 4_000);

  stage.act('The accident');
  // After the drop the writers leave customers alone: an insert would make the collection anew.
  const happened = await accident(cast, () => (dropped = true));
  stage.act('Who did it? The archived oplog knows');
  await findTheAccident(cast, happened);
  stage.act('The collection, beside the live set');
  await collectionBack(cast, happened);
  stage.act('The whole set, just before the mass update');
  await wholeSetBack(cast, happened);
  await shop.pause();
  stage.fact(shop.errors.length === 0, `meanwhile the live set took ${thousands(shop.writes())} writes, ${shop.errors.length} of them failed`);
  if (shop.errors.length > 0) wrong.push(`the live workload failed: ${shop.errors[0]}`);
  measured['writes'] = shop.writes();
  if (values.keep) await lookAround(stage, tidemark, directory, set.uri);
}

/** Restored members outlive the command that started them, as they should; the demo ends them by their own lock files. */
function endRestored(directory: string): void {
  for (const k of [0, 1, 2]) {
    try {
      const dbPath = join(directory, `restored-${k}`);
      const pid = Number(readFileSync(join(dbPath, 'mongod.lock'), 'utf8'));
      if (pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(dbPath)) process.kill(pid, 'SIGKILL');
    } catch {
      // Not restored, or ended already.
    }
  }
}

async function lookAround(on: Stage, tidemark: { url: string; tokenFile: string }, directory: string, uri: string): Promise<void> {
  on.act('Look around');
  on.say(`export TIDEMARK_SERVER=${tidemark.url} TIDEMARK_TOKEN_FILE=${tidemark.tokenFile}`);
  on.say(`tidemark window ${DATABASE}; tidemark point list; tidemark session list`);
  on.say(`live set: ${uri}`);
  on.say(`files: ${directory}`);
  on.say('Ctrl-C ends and removes everything');
  await new Promise<void>((resolve) => (onInterrupt = () => resolve()));
}

let playedMs = 0;
try {
  await using stack = new AsyncDisposableStack();
  await Promise.race([play(stack), interrupted]);
  playedMs = performance.now() - startedMs;
} catch (error) {
  wrong.push((error as Error).message);
  stage.say(`stopped: ${(error as Error).stack ?? String(error)}`);
}
const ok = wrong.length === 0;
stage.act(ok ? `Everything matched, in ${seconds(playedMs)}` : 'Not everything matched');
for (const each of wrong) stage.fact(false, each);
if (values.json) console.log(JSON.stringify({ ok, seconds: Number((playedMs / 1000).toFixed(1)), wrong, ...measured }));
process.exit(ok ? 0 : 1);
