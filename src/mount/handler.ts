import type { Clock } from '../base/clock.ts';
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import type { Overlay } from './overlay.ts';
import type { Operation } from './protocol.ts';

/** Answers one operation. What it throws becomes an errno: that of a `Refused`, ENOSPC, or EIO. */
export type Handler = (request: FuseRequest) => FuseAnswer | Promise<FuseAnswer>;
export type Handlers = Partial<Record<Operation, Handler>>;
export type HandlerParts = { readonly overlay: Overlay; readonly overlayDirectory: string; readonly clock: Clock };
