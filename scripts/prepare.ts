/** Before `npm run demo`, `bench`, `torture` and `dev`: what they need of this machine. */
import { prepareMachine } from './prepare-machine.ts';

await prepareMachine('databases');
