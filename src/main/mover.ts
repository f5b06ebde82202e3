/** The mover: a child of the transport service that runs one task and ends. Its job, secrets included, comes over the IPC pipe. */
import { Socket } from 'node:net';
import { dieWithParent } from '../base/native.ts';
import { stopped } from '../base/failures.ts';
import { openLog } from '../base/log.ts';
import { runMover } from '../agent/mover.ts';
import type { FromMover, ToMover } from '../agent/task-runner.ts';
import { loadUsualTasks } from '../agent/tasks/table.ts';
import { openPacePipe } from '../mover/paces.ts';

dieWithParent(9);
const log = openLog((line) => process.stderr.write(line));
const ends = new AbortController();

/** The outcome is the last word: nothing that a task forgot to close keeps its process alive. */
const send = (message: FromMover): void => {
  const end = message.kind === 'event' || message.kind === 'pace' ? undefined : () => process.exit(0);
  if (process.connected) process.send?.(message, undefined, undefined, end);
  else end?.();
};

const pace = openPacePipe(send);
process.on('disconnect', () => {
  ends.abort(stopped({ what: 'the transport service' }));
  pace.gone();
});
/** A task takes connections when it is ready for them; who comes earlier dials again. */
let takeConnection = (socket: Socket, _first: Buffer): void => void socket.destroy();

process.on('message', (message: ToMover, handle) => {
  if (message.kind === 'connection') return handle instanceof Socket ? takeConnection(handle, Buffer.from(message.firstHex, 'hex')) : undefined;
  if (message.kind === 'paced') return pace.hear(message);
  if (message.kind === 'stop') return ends.abort(stopped({ what: 'the task' }));
  void runMover(message.task, send, ends.signal, { onConnection: (take) => void (takeConnection = take), pace: pace.ask }, log);
});
if (process.argv[2] === 'waits') await loadUsualTasks();
