import { role as roleShape, roleGiven, type Role } from '../../contract/people.ts';
import { isGiven, listOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural } from '../format.ts';
import { usageOf } from '../numbers.ts';
import { showFields, showTable } from '../table.ts';

export async function listRoles(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('role.list');
  invocation.answer(answer, () =>
    showTable<Role>(
      [
        { title: 'ROLE', cell: ({ name }) => name },
        { title: 'USERS', cell: ({ users }) => String(users), right: true },
        { title: 'ONLY', cell: narrowing },
        { title: 'MAY', cell: ({ says, permissions }) => says ?? permissions.join(', ') },
      ],
      answer.roles,
    ),
  );
  return exitCodes.done;
}

function narrowing({ objects, targets }: Role): string {
  return [...(objects ?? []), ...(targets ?? []).map((target) => `restore to ${target}`)].join(', ');
}

function shown(invocation: Invocation, role: Role): ExitCode {
  invocation.answer(role, () => showFields([['role', `${role.name}${role.isBuiltIn ? ', built in' : ''}`], ['users', plural(role.users, 'user')], ['only', narrowing(role) || 'not narrowed'], ['may', role.permissions.toSorted().join('\n')]]));
  return exitCodes.done;
}

export async function showRole(invocation: Invocation): Promise<ExitCode> {
  return shown(invocation, await (await invocation.client()).call('role.show', { params: { role: invocation.args[0]! } }));
}

/** Checked here already, so that a wrong word is named as it was written. */
function shapeOf(invocation: Invocation) {
  const [only, targets] = [listOf(invocation, 'only'), listOf(invocation, 'restoreTo')];
  const unknown = listOf(invocation, 'allow').find((word) => !roleShape.shape.permissions.safeParse([word]).success);
  if (unknown !== undefined) throw usageOf(invocation, `there is no permission "${unknown}"`);
  const shape = roleGiven.safeParse({ permissions: listOf(invocation, 'allow'), objects: only.length === 0 ? null : only, targets: targets.length === 0 ? null : targets });
  if (!shape.success) throw usageOf(invocation, '--only takes set:NAME, group:NAME or repository:NAME, --restore-to takes live, directories or publish');
  return shape.data;
}

export async function addRole(invocation: Invocation): Promise<ExitCode> {
  return shown(invocation, await (await invocation.client()).call('role.add', { body: { name: invocation.args[0]!, ...shapeOf(invocation) } }));
}

export async function editRole(invocation: Invocation): Promise<ExitCode> {
  return shown(invocation, await (await invocation.client()).call('role.edit', { params: { role: invocation.args[0]! }, body: shapeOf(invocation) }));
}

export async function removeRole(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('role.remove', { params: { role: invocation.args[0]! }, query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } });
  invocation.answer(answer, () => (answer.applied ? `role ${answer.role} is removed` : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}
