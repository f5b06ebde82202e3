/** Collections with a life of their own: TTL, capped, time series. */
import type { MongoClient } from 'mongodb';
import type { Random } from '../bench/random.ts';
import type { Hand } from './writers.ts';

const DATABASE = 'storm_special';

export async function startSpecials(client: MongoClient, random: Random): Promise<Hand[]> {
  const db = client.db(DATABASE);
  await db.createCollection('ring', { capped: true, size: 200_000, max: 300 });
  await db.createCollection('short_lived');
  await db.collection('short_lived').createIndex({ until: 1 }, { expireAfterSeconds: 0 });
  await db.createCollection('weather', { timeseries: { timeField: 'at', metaField: 'station', granularity: 'seconds' }, expireAfterSeconds: 86_400 });
  await db.createCollection('weather_now', { viewOn: 'weather', pipeline: [{ $sort: { at: -1 } }, { $limit: 5 }] });
  let number = 0;
  const measure = async (): Promise<void> => {
    const measurements = Array.from({ length: 1 + random.int(20) }, () => ({ at: new Date(), station: `s${random.int(4)}`, degrees: random.next() * 40, wind: random.int(30) }));
    await db.collection('weather').insertMany(measurements, { ordered: random.next() < 0.5 });
    if (random.next() < 0.03) await db.collection('weather').deleteMany({ station: `s${random.int(4)}` });
  };
  const expire = async (): Promise<void> => {
    const documents = Array.from({ length: 5 }, () => ({ number: number++, until: new Date(Date.now() + random.int(8_000)) }));
    await db.collection('short_lived').insertMany(documents);
  };
  const ring = async (): Promise<void> => {
    await db.collection('ring').insertMany(Array.from({ length: 1 + random.int(8) }, () => ({ number: number++, text: random.hex(60) })));
  };
  return [
    { name: 'time series', everyMs: 150, act: measure },
    { name: 'TTL', everyMs: 200, act: expire },
    { name: 'capped', everyMs: 150, act: ring },
  ];
}
