/**
 * Passwords of local users: the rules for new ones, and how they are kept.
 *
 *   scrypt$15$8$3$SALT$HASH       log2 N, r, p; salt and hash in base64url, 16 and 32 bytes
 *
 * Two are hashed at a time, each with 32 MiB: nobody exhausts this machine by signing in.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export type ScryptCost = { readonly log2N: number; readonly r: number; readonly p: number };

export const usualCost: ScryptCost = { log2N: 15, r: 8, p: 3 };

const hashBytes = 32;
const hashedAtOnce = 2;
const mostWaiting = 40;

export type PasswordHashes = {
  hash(password: string): Promise<string>;
  /** The same work whether there is a hash to compare with or not. `busy`: too many wait. */
  matches(password: string, kept: string | null): Promise<boolean | 'busy'>;
};

export function openPasswordHashes(cost: ScryptCost = usualCost): PasswordHashes {
  let running = 0;
  const waiting: (() => void)[] = [];
  const nobody = formOf(cost, randomBytes(16), randomBytes(hashBytes));

  async function derived(password: string, salt: Uint8Array, { log2N, r, p }: ScryptCost): Promise<Buffer> {
    if (running >= hashedAtOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      const N = 2 ** log2N;
      return await new Promise((resolve, reject) => scrypt(password.normalize('NFKC'), salt, hashBytes, { N, r, p, maxmem: 256 * N * r }, (error, key) => (error === null ? resolve(key) : reject(error))));
    } finally {
      // Whoever waits takes the place over.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  }

  return {
    async hash(password) {
      const salt = randomBytes(16);
      return formOf(cost, salt, await derived(password, salt, cost));
    },
    async matches(password, kept) {
      if (waiting.length >= mostWaiting) return 'busy';
      const { cost: keptCost, salt, hash } = readForm(kept ?? nobody);
      return timingSafeEqual(await derived(password, salt, keptCost), hash) && kept !== null;
    },
  };
}

function formOf({ log2N, r, p }: ScryptCost, salt: Uint8Array, hash: Uint8Array): string {
  return ['scrypt', log2N, r, p, Buffer.from(salt).toString('base64url'), Buffer.from(hash).toString('base64url')].join('$');
}

function readForm(form: string): { cost: ScryptCost; salt: Buffer; hash: Buffer } {
  const [kind, log2N, r, p, salt, hash] = form.split('$');
  if (kind !== 'scrypt' || salt === undefined || hash === undefined) throw new Error('a kept password is of no known form');
  return { cost: { log2N: Number(log2N), r: Number(r), p: Number(p) }, salt: Buffer.from(salt, 'base64url'), hash: Buffer.from(hash, 'base64url') };
}

const shortest = 12;
const longest = 128;
/** Of lists of passwords that were found out, those that are 12 characters or longer, or grow to be by adding to them. */
const used = ['password', 'passwort', 'kennwort', 'qwerty', 'qwertz', 'letmein', 'welcome', 'iloveyou', 'admin', 'changeme', 'secret', 'tidemark', 'mongodb', 'backup', 'football', 'baseball', 'dragon', 'monkey', 'sunshine', 'princess', 'trustno1', 'starwars', 'master', 'superman', 'batman', 'computer', 'internet', 'summer', 'winter', 'spring', 'autumn'];
const runs = ['abcdefghijklmnopqrstuvwxyz', '01234567890123456789', 'qwertyuiopasdfghjklzxcvbnm', 'qwertzuiopasdfghjklyxcvbnm', 'azertyuiopqsdfghjklmwxcvbn', '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p'];

/** Why a password may not be set; undefined when it may. What is too easy counts for nothing, and the rest has to be long enough without it. */
export function weakness(password: string, user: string): string | undefined {
  const plain = password.normalize('NFKC').toLowerCase();
  const length = Array.from(plain).length;
  if (length < shortest) return `it has ${length} characters, and ${shortest} are needed`;
  if (length > longest) return `it has more than ${longest} characters`;
  if (user.length >= 3 && plain.includes(user.toLowerCase())) return 'it contains the name of the user';
  if (/^(.{1,6})\1+.{0,5}$/su.test(plain)) return 'it is one piece repeated';
  if (new Set(plain).size < 5) return 'it has fewer than 5 different characters';
  const rest = withoutRuns(withoutUsed(plain));
  return rest.length >= shortest / 2 ? undefined : 'it is made of what everybody tries first';
}

function withoutUsed(plain: string): string {
  const spelt = plain.replaceAll('0', 'o').replaceAll('1', 'i').replaceAll('3', 'e').replaceAll('4', 'a').replaceAll('5', 's').replaceAll('@', 'a').replaceAll('$', 's').replaceAll('!', 'i');
  const marked = Array.from(plain);
  for (const word of used) {
    for (let at = spelt.indexOf(word); at >= 0; at = spelt.indexOf(word, at + 1)) marked.fill('', at, at + word.length);
  }
  return marked.join('');
}

/** Pieces of four or more that follow one another on a keyboard, in the alphabet or in counting, either way round. */
function withoutRuns(plain: string): string {
  const all = runs.flatMap((run) => [run, Array.from(run).reverse().join('')]);
  let rest = '';
  for (let at = 0; at < plain.length; ) {
    let length = 0;
    for (let end = at + 4; end <= plain.length && all.some((run) => run.includes(plain.slice(at, end))); end++) length = end - at;
    if (length === 0) rest += plain[at];
    at += Math.max(length, 1);
  }
  return rest;
}
