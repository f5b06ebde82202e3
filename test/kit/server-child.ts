/** A backup server with a short lease, to be killed and paused: `DATA REST ENROLMENT CATALOG PASSWORD-FILE LEASE-MS`. Says when it is ready. */
import { openLog } from '../../src/base/log.ts';
import { describe } from '../../src/base/failure.ts';
import { openServer } from '../../src/server/server.ts';

const [dataDirectory, rest, enrolment, url, passwordFile, lease] = process.argv.slice(2) as [string, string, string, string, string, string];
const at = (port: string) => ({ host: '127.0.0.1', port: Number(port) });
const log = openLog((line) => process.stderr.write(line));
process.once('disconnect', () => process.exit(0));
const server = await openServer({
  dataDirectory,
  catalog: { kind: 'postgres', url, passwordFile },
  listen: at(rest),
  transport: at('1'),
  enrolment: at(enrolment),
  agents: at('0'),
  announce: '127.0.0.1',
  dns: [],
  version: '9.9.9',
  log,
  timing: { leaseMs: Number(lease), alarmEveryMs: 500, link: { shortestWaitMs: 20 } },
});
void server.replaced.then((why) => {
  log.error('replaced', { why: describe(why) });
  process.exit(7);
});
process.send!({ url: server.url, tokenFile: server.tokenFile, caFile: server.caFile });
