/** Connections on the loopback address that a test can cut: a port in front of each given one, every byte counted. */
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export type CuttingProxy = {
  readonly ports: number[];
  /** Bytes that went through, both ways. */
  readonly bytes: number;
  readonly cuts: number;
  /** Dials while it was closed. */
  readonly hungUp: number;
  /** Cuts the connection that carries byte number `at` of all, before that byte. */
  cutAt(at: number): void;
  cutAll(): void;
  /** While closed, who dials is hung up on. */
  setOpen(isOpen: boolean): void;
};

export async function openCuttingProxy(t: TestContext, targets: readonly number[]): Promise<CuttingProxy> {
  const pairs = new Set<() => void>();
  let bytes = 0;
  let cuts = 0;
  let next = Number.POSITIVE_INFINITY;
  let isOpen = true;
  let hungUp = 0;

  const join = (client: Socket, target: number): void => {
    if (!isOpen) {
      hungUp += 1;
      return void client.destroy();
    }
    const server = connect(target, '127.0.0.1');
    const cut = (): void => {
      if (!pairs.delete(cut)) return;
      client.destroy();
      server.destroy();
    };
    pairs.add(cut);
    const carry = (from: Socket, to: Socket): void => {
      from.on('error', cut);
      from.once('close', cut);
      from.on('data', (piece: Buffer) => {
        if (bytes + piece.length > next) {
          to.write(piece.subarray(0, next - bytes), cut);
          bytes = next;
          next = Number.POSITIVE_INFINITY;
          cuts += 1;
          from.pause();
          return;
        }
        bytes += piece.length;
        if (!to.write(piece)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
    };
    carry(client, server);
    carry(server, client);
  };

  const servers: Server[] = [];
  for (const target of targets) {
    const server = createServer((client) => join(client, target));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
  }
  const cutAll = (): void => [...pairs].forEach((cut) => cut());
  t.after(() => {
    cutAll();
    for (const server of servers) server.close();
  });
  return {
    ports: servers.map((server) => (server.address() as AddressInfo).port),
    get bytes() {
      return bytes;
    },
    get cuts() {
      return cuts;
    },
    get hungUp() {
      return hungUp;
    },
    cutAt: (at) => void (next = at),
    cutAll,
    setOpen: (open) => void (isOpen = open),
  };
}
