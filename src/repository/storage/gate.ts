/** Lets a number of callers in at once, the others in the order they came. */
export type Gate = { enter(): Promise<void>; leave(): void };

export function openGate(most: number): Gate {
  const waiting: (() => void)[] = [];
  let free = most;
  return {
    async enter() {
      if (free > 0) free -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
    },
    leave() {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    },
  };
}
