import { textOf, type Invocation } from './command.ts';
import { usageOf } from './numbers.ts';
import { readFileOf } from './secret-file.ts';

/** A secret from the file of an option, or asked for on a terminal; never a word of the command line, which others can see. */
export async function secretFrom(invocation: Invocation, option: 'passwordFile' | 'newPasswordFile', what: string): Promise<string> {
  const file = textOf(invocation, option);
  if (file !== undefined) return await readFileOf(what, file);
  const asked = await invocation.surroundings.askSecret(`${what}: `);
  if (asked !== undefined && asked !== '') return asked;
  throw usageOf(invocation, `give the ${what} with --${option === 'passwordFile' ? 'password-file' : 'new-password-file'}`);
}
