import type { Client } from './client.ts';
import type { Invocation } from './command.ts';
import { usageOf } from './numbers.ts';

/** The one named, else the default one. */
export async function chosenRepository(invocation: Invocation, client: Client): Promise<string> {
  const [name] = invocation.args;
  if (name !== undefined) return name;
  const { repositories } = await client.call('repository.list');
  const chosen = repositories.find((repository) => repository.isDefault) ?? (repositories.length === 1 ? repositories[0] : undefined);
  if (chosen === undefined) throw usageOf(invocation, 'there is no default repository; name one');
  return chosen.name;
}
