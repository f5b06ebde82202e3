/** Services of ours that listen and say nothing more: `stand-in.ts IDENTITY-FILE ADDRESS PORT…`. Prints `ready`. */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:tls';
import { tlsOptions, type LinkIdentity } from '../../src/contract/link/trust.ts';

const [file = '', host, ...ports] = process.argv.slice(2);
const identity = JSON.parse(readFileSync(file, 'utf8')) as LinkIdentity;
for (const port of ports) {
  const server = createServer({ ...tlsOptions(identity), requestCert: true }, (socket) => void socket.on('error', () => {}).end());
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(port), host, resolve);
  });
}
process.stdout.write('ready\n');
