import { BSON, type Binary, type Document } from 'mongodb';
import { fieldOf } from './bson-bytes.ts';
import type { OpMsg } from './op-msg.ts';
import type { IndexBook } from './replay-indexes.ts';

/** What a replay by commands has to know of each collection, by UUID: where it is, and whether its documents have an order. */
export type Shape = {
  readonly db: string;
  readonly name: string;
  readonly capped: boolean;
  readonly collated: boolean;
};

export type Shapes = {
  of(uuid: string): Shape | undefined;
  /** Capped collections keep the order of inserts; with a collation, ids of different bytes may be equal. */
  isOrdered(uuid: string | undefined): boolean;
  created(uuid: string, db: string, name: string, options: Uint8Array): void;
  dropped(uuid: string): void;
  /** Answers the collections that are gone with it. */
  droppedDatabase(db: string): string[];
  renamed(uuid: string, to: string): void;
};

/**
 * Reads what there is. With a book, indexes are taken down and written into it: no secondary index may stand while documents
 * overtake each other.
 */
export async function readShapes(wire: OpMsg, book: IndexBook | undefined): Promise<Shapes> {
  const shapes = new Map<string, Shape>();
  for (const db of await databases(wire)) {
    for (const info of await all(wire, {
      listCollections: 1,
      filter: { type: { $in: ['collection', 'timeseries'] } },
      $db: db,
    })) {
      const name = String(info['name']);
      const options = (info['options'] ?? {}) as Document;
      const uuid = (info['info'] as { uuid?: Binary } | undefined)?.uuid?.toString('hex').replaceAll('-', '');
      if (uuid === undefined || name === 'system.profile') continue;
      shapes.set(uuid, { db, name, capped: options['capped'] === true, collated: options['collation'] !== undefined });
      if (book === undefined || name === 'system.views') continue;
      const indexes = await all(wire, { listIndexes: name, $db: db });
      for (const index of indexes.filter((one) => one['name'] !== '_id_' && one['clustered'] !== true))
        book.add(uuid, BSON.serialize(index));
      if (indexes.length > 1) await wire.run({ dropIndexes: name, index: '*', $db: db });
    }
  }
  return {
    of: (uuid) => shapes.get(uuid),
    isOrdered: (uuid) => {
      const shape = shapes.get(uuid ?? '');
      return shape !== undefined && (shape.capped || shape.collated);
    },
    created: (uuid, db, name, options) => {
      const capped = fieldOf(options, 'capped');
      shapes.set(uuid, {
        db,
        name,
        capped: capped !== undefined && options[capped.value] === 1,
        collated: fieldOf(options, 'collation') !== undefined,
      });
    },
    dropped: (uuid) => void shapes.delete(uuid),
    droppedDatabase: (db) => {
      const gone = [...shapes].filter(([, shape]) => shape.db === db).map(([uuid]) => uuid);
      for (const uuid of gone) shapes.delete(uuid);
      return gone;
    },
    renamed: (uuid, to) => {
      const shape = shapes.get(uuid);
      const dot = to.indexOf('.');
      if (shape !== undefined) shapes.set(uuid, { ...shape, db: to.slice(0, dot), name: to.slice(dot + 1) });
    },
  };
}

async function databases(wire: OpMsg): Promise<string[]> {
  const { databases: listed } = (await wire.run({ listDatabases: 1, nameOnly: true, $db: 'admin' })) as {
    databases?: { name: string }[];
  };
  return (listed ?? []).map(({ name }) => name).filter((name) => name !== 'config' && name !== 'local');
}

/** Catalogues are small: one answer of up to 16 MB holds them. */
async function all(wire: OpMsg, command: Document): Promise<Document[]> {
  const { cursor } = (await wire.run({ ...command, cursor: { batchSize: 100_000 } })) as {
    cursor?: { firstBatch: Document[] };
  };
  return cursor?.firstBatch ?? [];
}
