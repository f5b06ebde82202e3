/** A thread of `npm run simulate`: one server with its policies. */
import { parentPort, workerData } from 'node:worker_threads';
import { simulatePolicies } from '../test/kit/policy-simulation.ts';
import { chanceFrom } from '../test/kit/seeded.ts';
import type { FromLot, Lot } from './simulate.ts';

const { policies, years, seed } = workerData as Lot;
const tell = (from: FromLot): void => parentPort!.postMessage(from);
tell({ done: await simulatePolicies({ policies, years, chance: chanceFrom(seed), say: (says) => tell({ says }) }) });
