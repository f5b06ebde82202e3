import { isFailure } from '../base/failure.ts';
import { objectDamaged, objectShort, storageFailed } from './failures.ts';

/** An object that is there and cannot be used, and why. */
export type Damage = { object: string; what: string };

/** Whether it is the place that failed, so that nothing can be said of any object in it: a store or a host that is away says nothing of a pack. */
export function isOfPlace(error: unknown): boolean {
  return isFailure(error) && /^(repository\.(bucket|share|list)-|base\.|mover\.)/.test(error.code);
}

/**
 * The damage of one object as an answer: what else there is must stay usable. Anything but damage is thrown on.
 * A sector that cannot be read is damage too; a place that is gone altogether has failed at its list before.
 */
export function damageOf(object: string, error: unknown): Damage {
  if (isFailure(error, objectDamaged) || isFailure(error, objectShort) || isFailure(error, storageFailed)) return { object, what: error.message };
  throw error;
}
