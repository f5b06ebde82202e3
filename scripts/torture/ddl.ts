/** Everything that is not a document: collections made, renamed, changed, dropped; indexes built and dropped; views. */
import type { Db, Document, MongoClient } from 'mongodb';
import type { Random } from '../bench/random.ts';
import type { Hand } from './writers.ts';

const DATABASE = 'storm_ddl';
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f'];

const CREATIONS: readonly Document[] = [
  {},
  { collation: { locale: 'de', strength: 2 } },
  { validator: { kind: { $in: [1, 2, 3] } }, validationLevel: 'moderate', validationAction: 'warn' },
  { capped: true, size: 65_536 },
  { clusteredIndex: { key: { _id: 1 }, unique: true } },
  { storageEngine: { wiredTiger: { configString: 'block_compressor=zstd' } } },
];

const INDEXES: readonly (readonly [Document, Document])[] = [
  [{ kind: 1 }, {}],
  [{ kind: 1, text: -1 }, { name: 'two', hidden: true }],
  [{ number: 1 }, { unique: true, partialFilterExpression: { number: { $gt: 500_000 } } }],
  [{ text: 'text' }, { default_language: 'german', weights: { text: 3 } }],
  [{ place: '2dsphere' }, { sparse: true }],
  [{ 'wild.$**': 1 }, {}],
  [{ number: 'hashed' }, {}],
  [{ text: 1 }, { collation: { locale: 'fr' }, name: 'french' }],
  [{ at: 1 }, { expireAfterSeconds: 3600 }],
];

type Act = (db: Db, random: Random, name: string) => Promise<unknown>;

const ACTS: readonly Act[] = [
  async (db, random, name) => await db.createCollection(name, random.pick(CREATIONS)),
  async (db, random, name) => await db.collection(name).insertMany(someDocuments(random)),
  async (db, random, name) => await db.collection(name).insertMany(someDocuments(random)),
  async (db, random, name) => await db.collection(name).createIndex(...random.pick(INDEXES)),
  async (db, random, name) => await db.collection(name).createIndex(...random.pick(INDEXES)),
  async (db, random, name) => await db.command({ createIndexes: name, indexes: twoIndexes(random) }),
  async (db, _, name) => await db.collection(name).dropIndexes(),
  async (db, _, name) => await db.collection(name).dropIndex('two'),
  async (db, random, name) => await db.command({ collMod: name, index: { name: 'two', hidden: random.next() < 0.5 } }),
  async (db, random, name) => await db.command({ collMod: name, index: { keyPattern: { at: 1 }, expireAfterSeconds: 100 + random.int(10_000) } }),
  async (db, random, name) => await db.command({ collMod: name, validator: { kind: { $lt: random.int(9) } }, validationAction: 'warn' }),
  async (db, random, name) => await db.collection(name).updateMany({ kind: random.int(3) }, { $set: { text: random.hex(9) }, $inc: { number: 1 } }),
  async (db, random, name) => await db.collection(name).deleteMany({ kind: random.int(3) }),
  async (db, random, name) => await db.collection(name).rename(random.pick(NAMES), { dropTarget: random.next() < 0.6 }),
  async (db, random, name) => await db.collection(name).aggregate([{ $match: { kind: { $gte: 1 } } }, { $out: random.pick(NAMES) }]).toArray(),
  async (db, _, name) => await db.command({ convertToCapped: name, size: 131_072 }),
  async (db, _, name) => await db.collection(name).drop(),
  async (db, random, name) => await db.createCollection(`view_${name}`, { viewOn: random.pick(NAMES), pipeline: [{ $match: { kind: random.int(3) } }] }),
  async (db, random, name) => await db.command({ collMod: `view_${name}`, viewOn: random.pick(NAMES), pipeline: [{ $limit: 1 + random.int(50) }] }),
  async (db, _, name) => await db.collection(`view_${name}`).drop(),
];

export async function startDdl(client: MongoClient, random: Random): Promise<Hand[]> {
  const db = client.db(DATABASE);
  await db.collection('a').insertMany(someDocuments(random));
  const act = async (): Promise<void> => {
    try {
      await random.pick(ACTS)(db, random, random.pick(NAMES));
    } catch (error) {
      if (!isExpected(error)) throw error;
    }
  };
  const wholeDatabase = async (): Promise<void> => {
    const other = client.db('storm_short');
    await other.collection('x').insertMany(someDocuments(random));
    await other.collection('x').createIndex({ kind: 1 });
    await other.collection('y').insertOne({ number: random.int(1000) });
    if (random.next() < 0.5) await other.dropDatabase();
  };
  return [
    { name: 'ddl', everyMs: 150, act },
    { name: 'ddl', everyMs: 260, act },
    { name: 'databases', everyMs: 7_000, act: wholeDatabase },
  ];
}

/** What a blind walk through the catalogue runs into all the time: names taken, names missing, options that clash. */
const EXPECTED = new Set([
  'NamespaceNotFound',
  'NamespaceExists',
  'IndexNotFound',
  'IndexOptionsConflict',
  'IndexKeySpecsConflict',
  'IllegalOperation',
  'InvalidOptions',
  'CommandNotSupportedOnView',
  'CannotCreateIndex',
  'InvalidIndexSpecificationOption',
  'DuplicateKey',
  'DocumentValidationFailure',
  'BadValue',
  'OptionNotSupportedOnView',
  'BackgroundOperationInProgressForNamespace',
  'IndexBuildAborted',
  'IndexAlreadyExists',
  'ViewDepthLimitExceeded',
  'GraphContainsCycle',
  'CannotConvertIndexToUnique',
  'CommandFailed',
  'CappedPositionLost',
  'QueryPlanKilled',
  'OperationFailed',
  'InvalidNamespace',
  'CannotGrowDocumentInCappedNamespace',
]);

function isExpected(error: unknown): boolean {
  const { codeName, code } = error as { codeName?: string; code?: number };
  return (codeName !== undefined && EXPECTED.has(codeName)) || code === 20 || code === 11000 || (code !== undefined && code > 17_000);
}

function twoIndexes(random: Random): Document[] {
  return [random.pick(INDEXES), random.pick(INDEXES)].map(([key, options], k) => ({ key, name: `both${k}`, ...options }));
}

function someDocuments(random: Random): Document[] {
  return Array.from({ length: 20 + random.int(150) }, () => ({
    kind: random.int(4),
    number: random.int(1_000_000),
    text: `${random.hex(3)} ${random.hex(5)}`,
    place: { type: 'Point', coordinates: [random.next() * 360 - 180, random.next() * 180 - 90] },
    wild: { [`k${random.int(5)}`]: random.hex(2) },
    at: new Date(),
  }));
}
