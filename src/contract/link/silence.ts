/** How long a peer may be silent, and what follows from it for the orders given to it. */

/** Each side pings this often. */
export const pingMs = 10_000;
/** A peer without a sign of life for so long is given up, as seen at the next ping. */
export const deadMs = 25_000;
/**
 * The shortest that an order is waited for. A service that stands still has to be a lost link, which is dialled again,
 * before it is an order that was not answered.
 */
export const promptMs = deadMs + pingMs + 10_000;
