/** Each side of a channel sends a sign of life so often, and gives up one that was silent so long. */
export const beatMs = 5_000;
export const silentMs = 20_000;
