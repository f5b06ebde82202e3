/** Front door of the command line. */
import { runCommandLine } from '../cli/run.ts';
import { surroundings } from './surroundings.ts';

const { stdout, stderr } = process;

// The reader of a pipe may leave early; that is no failure of ours.
for (const stream of [stdout, stderr]) stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await runCommandLine(process.argv.slice(2), surroundings);
