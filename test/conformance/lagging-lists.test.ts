import { laggingStorage } from '../kit/lagging-storage.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { laggingConformance } from './lagging-lists.ts';

laggingConformance('a place in memory whose lists lag', async () => await Promise.resolve(laggingStorage(memoryStorage())));
