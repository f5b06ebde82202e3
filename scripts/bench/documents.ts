/**
 * The data set: a shop with customers, orders, events, products and a ledger. Words follow a skewed draw from 4,000
 * made-up words; hashes, session ids and coordinates do not compress. Scale 1 is 2,157,000 documents, 1.43 GB of BSON.
 */
import { Binary, Double, Int32, Long, ObjectId, type Document, type IndexSpecification, type CreateIndexesOptions } from 'mongodb';
import { openRandom, type Random } from './random.ts';

export type DocumentKind = {
  readonly name: string;
  readonly kind: number;
  readonly count: number;
  readonly indexes: readonly (readonly [IndexSpecification, CreateIndexesOptions?])[];
  readonly make: (random: Random, number: number) => Document;
};

export const EPOCH_MS = Date.UTC(2025, 0, 1);
const COUNTRIES = ['DE', 'FR', 'PL', 'US', 'GB', 'CZ', 'ES', 'IT', 'NL', 'SE', 'AT', 'CH'];
const STATUS = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned', 'cancelled'];
const TYPES = ['page_view', 'search', 'add_to_cart', 'remove_from_cart', 'checkout', 'login', 'logout', 'error'];
const CURRENCIES = ['EUR', 'USD', 'GBP', 'PLN'];
const TIERS = ['basic', 'silver', 'gold', 'platinum'];
const WORDS = makeWords();

/** Ascending with the number, as real ids are with time. */
export function idOf(kind: number, number: number): ObjectId {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE((EPOCH_MS / 1000 + number) >>> 0, 0);
  bytes[4] = kind;
  bytes.writeUInt32BE(Math.imul(number + 1, 0x9e3779b1) >>> 0, 5);
  bytes.writeUIntBE(number % 0xffffff, 9, 3);
  return new ObjectId(bytes);
}

export function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.skewed(WORDS)).join(' ');
}

const CUSTOMERS: DocumentKind = {
  name: 'customers',
  kind: 1,
  count: 150_000,
  indexes: [[{ email: 1 }, { unique: true }]],
  make: (random, number) => ({
    _id: idOf(1, number),
    email: `${random.skewed(WORDS)}.${number}@${random.skewed(WORDS)}.example`,
    name: { first: random.skewed(WORDS), last: random.skewed(WORDS) },
    active: random.next() < 0.9,
    since: new Date(EPOCH_MS - random.int(9e8) * 1000),
    tier: random.skewed(TIERS),
    addresses: Array.from({ length: 1 + random.int(3) }, () => address(random)),
    tags: Array.from({ length: random.int(6) }, () => random.skewed(WORDS)),
    visits: new Int32(random.int(5000)),
    credit: money(random, 5000),
    passwordHash: new Binary(random.bytes(32)),
    note: words(random, 4 + random.int(40)),
  }),
};

const ORDERS: DocumentKind = {
  name: 'orders',
  kind: 2,
  count: 580_000,
  indexes: [[{ customerId: 1, placedAt: -1 }], [{ status: 1, placedAt: 1 }]],
  make: (random, number) => ({
    _id: idOf(2, number),
    number: `O-${String(number).padStart(8, '0')}`,
    customerId: idOf(1, random.int(150_000)),
    status: random.skewed(STATUS),
    placedAt: someTime(random),
    currency: random.pick(CURRENCIES),
    lines: Array.from({ length: 1 + random.int(8) }, (_, k) => ({
      pos: new Int32(k + 1),
      productId: idOf(4, random.int(17_000)),
      sku: random.hex(4),
      title: words(random, 3 + random.int(3)),
      qty: new Int32(1 + random.int(9)),
      price: money(random, 400),
    })),
    shipTo: address(random),
    history: Array.from({ length: 1 + random.int(4) }, () => ({ at: someTime(random), to: random.skewed(STATUS), by: random.skewed(WORDS) })),
    total: money(random, 3000),
    counter: Long.fromNumber(random.u32() * 1000),
    comment: words(random, random.int(50) + 1),
  }),
};

const EVENTS: DocumentKind = {
  name: 'events',
  kind: 3,
  count: 1_400_000,
  indexes: [[{ sessionId: 1, ts: 1 }]],
  make: (random, number) => ({
    _id: idOf(3, number),
    ts: new Date(EPOCH_MS + number * 20 + random.int(20)),
    type: random.skewed(TYPES),
    sessionId: random.hex(8),
    customerId: random.next() < 0.4 ? idOf(1, random.int(150_000)) : null,
    path: `/${random.skewed(WORDS)}/${random.skewed(WORDS)}`,
    ms: new Int32(random.int(4000)),
    agent: `${random.skewed(WORDS)}/${random.int(120)}.0 (${random.skewed(WORDS)}; ${random.skewed(WORDS)})`,
    ip: `${10 + random.int(200)}.${random.int(256)}.${random.int(256)}.${random.int(256)}`,
    props: { a: random.next(), q: words(random, 1 + random.int(8)), flags: [random.next() < 0.5, random.next() < 0.1] },
  }),
};

/** About 20 MB: the collection to get back alone. */
const PRODUCTS: DocumentKind = {
  name: 'products',
  kind: 4,
  count: 17_000,
  indexes: [[{ sku: 1 }, { unique: true }]],
  make: (random, number) => ({
    _id: idOf(4, number),
    sku: `${random.hex(3)}-${number}`,
    title: words(random, 5),
    description: words(random, 40 + random.int(80)),
    price: money(random, 400),
    stock: new Int32(random.int(1000)),
    attributes: Object.fromEntries(Array.from({ length: 5 }, (_, k) => [`k${k}`, random.skewed(WORDS)])),
    updated: someTime(random),
  }),
};

/** Transactions move money between these accounts: the sum of all balances never changes. */
const LEDGER: DocumentKind = {
  name: 'ledger',
  kind: 5,
  count: 10_000,
  indexes: [],
  make: (random, number) => ({ _id: new Int32(number), balance: Long.fromNumber(1000), moves: new Int32(0), owner: random.skewed(WORDS) }),
};

export const DOCUMENT_KINDS: readonly DocumentKind[] = [CUSTOMERS, ORDERS, EVENTS, PRODUCTS, LEDGER];

function makeWords(): string[] {
  const random = openRandom('vocabulary');
  const onsets = ['b', 'br', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 'st', 't', 'tr', 'v', 'z', 'ch', 'sh', ''];
  const vowels = ['a', 'e', 'i', 'o', 'u', 'ai', 'ou', 'ea'];
  const codas = ['', '', 'n', 'r', 's', 'l', 't', 'm', 'ck'];
  const made = new Set<string>();
  while (made.size < 4000) {
    const syllables = 2 + random.int(3);
    made.add(Array.from({ length: syllables }, () => random.pick(onsets) + random.pick(vowels) + random.pick(codas)).join(''));
  }
  return [...made];
}

/** Never a whole number, so that every document stores it in the same eight bytes. */
function money(random: Random, below: number): Double {
  return new Double(Math.round(random.next() * below * 100) / 100 + 0.001);
}

function someTime(random: Random): Date {
  return new Date(EPOCH_MS + random.int(2.6e7) * 1000);
}

function address(random: Random): Document {
  return {
    street: `${words(random, 2)} ${1 + random.int(200)}`,
    city: random.skewed(WORDS),
    zip: String(10_000 + random.int(89_999)),
    country: random.skewed(COUNTRIES),
    geo: { type: 'Point', coordinates: [random.next() * 360 - 180, random.next() * 180 - 90] },
  };
}
