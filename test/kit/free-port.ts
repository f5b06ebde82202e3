/**
 * Ports that nobody listens on and that nobody is given by chance: below the range from which the system takes the port of an
 * outgoing connection and of a listener on port 0 (from 32768 on), above those of the product and below those of mongod, which tests
 * and documents name. A process never gives the same one twice: what asked for it may start long after.
 */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const lowest = 12_000;
const highest = 26_999;
const given = new Set<number>();
const tries = 1000;

export async function freePort(): Promise<number> {
  return (await freeRange(1)).from;
}

export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await freePort());
  return ports;
}

/** `count` free ports in a row. */
export async function freeRange(count: number): Promise<{ from: number; to: number }> {
  for (let n = 0; n < tries; n++) {
    const from = randomInt(lowest, highest - count + 2);
    const ports = Array.from({ length: count }, (_, k) => from + k);
    if (ports.some((port) => given.has(port))) continue;
    for (const port of ports) given.add(port);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return { from, to: from + count - 1 };
    for (const port of ports) given.delete(port);
  }
  throw new Error(`no ${count} free ports in a row between ${lowest} and ${highest}`);
}

/** On every address: a listener on one of them is in the way of one on all. */
async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}
