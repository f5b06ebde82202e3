/**
 * Front door of the warden, which locks the files of hardened repositories. Root runs it.
 *
 *   warden [--state DIR] [--socket PATH]      the service; a service manager that hands it a listening socket counts more than the path
 *   warden adopt DIR                          takes a directory into care
 *   warden confirm-clock                      the clock of this machine is right, says who is at it
 *   warden status                             what is in care, and the alarms
 */
import { readFileSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Readings } from '../agent/warden/kept-time.ts';
import { adoptPlace } from '../agent/warden/kept-place.ts';
import { confirmClock, openWarden, readPlaces, writePlaces } from '../agent/warden/warden.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { wardenAlarmsFile, wardenSocket } from '../repository/storage/warden-line.ts';

if (process.connected) dieWithParent(15);
const text = { type: 'string' } as const;
const { values, positionals } = parseArgs({ allowPositionals: true, options: { state: text, socket: text } });
const state = values.state ?? '/var/lib/tidemark-warden';
const log = openLog((line) => process.stderr.write(line)).with({ part: 'warden' });

const roundMs = 60_000;
const roundsOfAnHour = 60;

/** Both files are the kernel's: the first counts since the boot, sleep included, and nobody sets it. */
function readings(): Readings {
  const bootMs = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
  return { wallMs: systemClock.now(), bootMs, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim() };
}

async function serve(): Promise<void> {
  const path = values.socket ?? wardenSocket;
  const warden = await openWarden({ state, alarmsFile: join(dirname(path), basename(wardenAlarmsFile)), readings, log });
  const isHanded = process.env['LISTEN_FDS'] === '1' && process.env['LISTEN_PID'] === String(process.pid);
  if (!isHanded) await rm(path, { force: true });
  const server = await warden.serve(isHanded ? { fd: 3 } : { path });
  let rounds = 0;
  const every = setInterval(() => {
    rounds += 1;
    warden.round(rounds % roundsOfAnHour === 0).catch((error: unknown) => log.error('a round failed', { why: describe(error) }));
  }, roundMs);
  const end = async (): Promise<void> => {
    clearInterval(every);
    server.close();
    await warden.close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end());
  process.on('disconnect', () => void end());
  // A lease that somebody breaks, which a check for writers holds for a moment.
  process.on('SIGIO', () => {});
  process.on('SIGUSR1', () => void warden.round(true).then(() => process.send?.('round')));
  log.info('ready');
  process.send?.('ready');
}

try {
  const [verb, path] = positionals;
  if (verb === undefined) {
    await serve();
  } else if (verb === 'adopt' && path !== undefined) {
    const place = adoptPlace(realpathSync(path));
    await writePlaces(state, [...(await readPlaces(state)).filter((one) => one.path !== place.path), place]);
    process.stdout.write(`${place.path} is in the warden's care\n`);
  } else if (verb === 'confirm-clock') {
    await confirmClock(state, systemClock.now());
    process.stdout.write('heard within a minute\n');
  } else if (verb === 'status') {
    for (const { path: kept } of await readPlaces(state)) process.stdout.write(`${kept}\n`);
    process.stdout.write(readFileSync(`${state}/time.json`, 'utf8'));
  } else {
    process.stderr.write('tidemark-warden adopt DIRECTORY | confirm-clock | status\n');
    process.exitCode = 2;
  }
} catch (error) {
  log.error('the warden ends', { why: describe(error) });
  process.exit(1);
}
