/** The endpoint mapper (135): at which port an interface is served. It signs nothing; what it answers is only where to knock. */
import { Malformed, NdrReader, NdrWriter, uuidBytes } from './ndr.ts';
import type { Interface } from './pdu.ts';
import { openRpc } from './rpc.ts';

export const endpointMapperPort = 135;
const endpointMapper: Interface = { uuid: 'e1af8308-5d1f-11c9-91a4-08002b14a0fa', major: 3, minor: 0 };
const ndrSyntax: Interface = { uuid: '8a885d04-1ceb-11c9-9fe8-08002b104860', major: 2, minor: 0 };
const map = 3;
const mostTowers = 8;
const mostTowerBytes = 1024;
const notRegistered = 0x16c9a0d6;
const protocol = { tcp: 7, ip: 9, connectionOriented: 11, uuid: 13 } as const;

export type MappedPort = { readonly kind: 'port'; readonly port: number } | { readonly kind: 'not-registered' };

export async function mappedPort(of: Interface, place: { host: string; port?: number; deadlineMs?: number; signal?: AbortSignal }): Promise<MappedPort> {
  using mapper = await openRpc({ ...place, port: place.port ?? endpointMapperPort, to: endpointMapper });
  return await mapper.call('a question for a port', map, mapStub(of), readMapped);
}

/** An interface by name, its form, RPC, TCP and IP: each a floor of the tower. */
function mapStub(of: Interface): Buffer {
  const floor = (left: Buffer, right: Buffer): Buffer => Buffer.concat([new NdrWriter().u16(left.length).raw(left).done(), new NdrWriter().u16(right.length).raw(right).done()]);
  const named = ({ uuid, major, minor }: Interface): Buffer => floor(Buffer.concat([Buffer.from([protocol.uuid]), uuidBytes(uuid), new NdrWriter().u16(major).done()]), new NdrWriter().u16(minor).done());
  const tower = Buffer.concat([new NdrWriter().u16(5).done(), named(of), named(ndrSyntax), floor(Buffer.from([protocol.connectionOriented]), Buffer.alloc(2)), floor(Buffer.from([protocol.tcp]), Buffer.alloc(2)), floor(Buffer.from([protocol.ip]), Buffer.alloc(4))]);
  return new NdrWriter().pointer(false).pointer(true).u32(tower.length).u32(tower.length).raw(tower).handle(Buffer.alloc(20)).u32(mostTowers).done();
}

export function readMapped(answer: NdrReader): MappedPort {
  answer.handle();
  answer.count(mostTowers, 'towers');
  answer.count(mostTowers, 'towers that there may be');
  answer.u32();
  const pointers = Array.from({ length: answer.count(mostTowers, 'towers that follow') }, () => answer.u32());
  const towers = pointers.filter((pointer) => pointer !== 0).map(() => {
    const bytes = answer.count(mostTowerBytes, 'bytes of a tower');
    if (answer.u32() !== bytes) throw new Malformed('a tower has two lengths');
    return answer.raw(bytes);
  });
  const status = answer.u32();
  const port = towers.map(portIn).find((found) => found !== undefined);
  if (port !== undefined) return { kind: 'port', port };
  if (status !== 0 && status !== notRegistered) throw new Malformed(`the endpoint mapper ended with 0x${status.toString(16)}`);
  return { kind: 'not-registered' };
}

function portIn(tower: Buffer): number | undefined {
  let at = 0;
  const part = (): Buffer => {
    if (at + 2 > tower.length || at + 2 + tower.readUInt16LE(at) > tower.length) throw new Malformed('a floor runs over the end of its tower');
    const bytes = tower.subarray(at + 2, at + 2 + tower.readUInt16LE(at));
    at += 2 + bytes.length;
    return bytes;
  };
  if (tower.length < 2) throw new Malformed('a tower without floors');
  const floors = tower.readUInt16LE(0);
  if (floors > 16) throw new Malformed(`a tower of ${floors} floors`);
  at = 2;
  for (let floor = 0; floor < floors; floor++) {
    const [left, right] = [part(), part()];
    if (left[0] !== protocol.tcp || right.length !== 2) continue;
    const port = right.readUInt16BE(0);
    if (port === 0) throw new Malformed('a service at port 0');
    return port;
  }
  return undefined;
}
