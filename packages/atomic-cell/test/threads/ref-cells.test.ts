import { AllocError, SharedMemory } from '@shmalloc/allocator-api';
import {
  AtomicRefCell,
  type BorrowCell,
  BorrowError,
  BorrowMutError,
  RefCell,
  ReleaseError,
} from '@shmalloc/atomic-cell';
import test from 'ava';
import { CELL, DATA } from '../support/places.ts';
import { runTeam } from '../support/team.ts';
import type { RefusedAnswer, RefusedTask } from '../support/workers/refused.ts';

type Row = Int32Array<SharedArrayBuffer>;

for (const Kind of [AtomicRefCell, RefCell] as const) {
  const make = (threadId?: number): { memory: SharedMemory; cell: BorrowCell<Row> } => {
    const memory = SharedMemory.create({ bytes: 65536 });
    return { memory, cell: new Kind(memory, CELL, memory.view('i32', DATA, 2), { threadId }) };
  };
  const flagOf = (memory: SharedMemory): number => memory.i32[CELL / 4];

  test(`${Kind.name}: many borrow, or one borrows mutably`, (t) => {
    const { cell } = make();
    const [one, two] = [cell.borrow(), cell.borrow()];
    t.is(cell.flag.state, 2);
    t.is(one.value, two.value);
    t.throws(() => cell.borrowMut(), { instanceOf: BorrowMutError });
    t.is(cell.tryBorrowMut(), undefined);
    one.release();
    two.release();
    const writer = cell.borrowMut();
    writer.value[0] = 7;
    t.is(cell.flag.state, -1);
    t.throws(() => cell.borrow(), { instanceOf: BorrowError });
    t.throws(() => cell.borrowMut(), { instanceOf: BorrowMutError });
    t.is(cell.tryBorrow(), undefined);
    t.is(cell.tryBorrowMut(), undefined);
    writer.release();
    t.is(cell.tryBorrow()?.value[0], 7);
  });

  test(`${Kind.name}: tryBorrow and tryBorrowMut give guards that release`, (t) => {
    const { memory, cell } = make();
    const reader = cell.tryBorrow();
    t.is(flagOf(memory), 1);
    reader?.release();
    const writer = cell.tryBorrowMut();
    t.is(flagOf(memory), -1);
    writer?.release();
    t.is(flagOf(memory), 0);
  });

  test(`${Kind.name}: a guard releases at the end of its block, also when the block throws`, (t) => {
    const { memory, cell } = make();
    {
      using row = cell.borrowMut();
      row.value[0] = 1;
      t.is(flagOf(memory), -1);
    }
    t.is(flagOf(memory), 0);
    t.throws(() => {
      using row = cell.borrow();
      throw new Error(`read ${row.value[0]}`);
    });
    t.is(flagOf(memory), 0);
  });

  test(`${Kind.name}: a guard releases once, and not what another has borrowed since`, (t) => {
    const { memory, cell } = make();
    const stale = cell.borrowMut();
    t.false(stale.released);
    stale.release();
    t.true(stale.released);
    const current = cell.borrowMut();
    stale.release();
    stale[Symbol.dispose]();
    t.is(flagOf(memory), -1, 'still borrowed by the second');
    t.throws(() => stale.value, { instanceOf: TypeError, message: /released/ });
    current.release();

    const [one, two] = [cell.borrow(), cell.borrow()];
    one.release();
    one.release();
    t.is(flagOf(memory), 1, 'one of two readers is left');
    two.release();
    t.is(flagOf(memory), 0);
  });

  test(`${Kind.name}: a guard says so when the flag was changed behind its back`, (t) => {
    const { memory, cell } = make();
    const reader = cell.borrow();
    memory.i32[CELL / 4] = 0;
    t.throws(() => reader.release(), { instanceOf: ReleaseError, message: /no reader/ });
    const writer = cell.borrowMut();
    memory.i32[CELL / 4] = 5;
    t.throws(() => writer.release(), { instanceOf: ReleaseError, message: /no writer/ });
    t.is(flagOf(memory), 5);
  });

  test(`${Kind.name}: the errors say who holds it`, (t) => {
    const { memory, cell } = make(3);
    const other = new Kind(memory, CELL, memory.view('i32', DATA, 2), { threadId: 9 });
    t.is(cell.lastHolder, undefined);

    const writer = cell.borrowMut();
    const whileWritten = t.throws(() => other.borrow(), { instanceOf: BorrowError });
    t.is(whileWritten.message, 'already mutably borrowed, by thread 3');
    t.is(whileWritten.state, -1);
    t.is(whileWritten.holder, 3);
    const alsoMut = t.throws(() => other.borrowMut(), { instanceOf: BorrowMutError });
    t.is(alsoMut.message, 'already mutably borrowed, by thread 3');
    t.is(alsoMut.holder, 3);
    writer.release();
    t.is(other.lastHolder, 3, 'the hint is not erased');

    const readers = [cell.borrow(), other.borrow()];
    const whileRead = t.throws(() => cell.borrowMut(), { instanceOf: BorrowMutError });
    t.is(whileRead.message, 'already borrowed by 2 readers, the last thread 9');
    t.is(whileRead.state, 2);
    t.is(whileRead.holder, 9);
    readers[0].release();
    t.is(
      t.throws(() => cell.borrowMut(), { instanceOf: BorrowMutError }).message,
      'already borrowed by 1 reader, the last thread 9',
    );
  });

  test(`${Kind.name}: thread ids from 0 to 2^32 − 2 are told from no id`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const holderOf = (threadId?: number): number | undefined => {
      const cell = new Kind(memory, CELL, 'value', { threadId });
      cell.borrowMut().release();
      return cell.lastHolder;
    };
    for (const id of [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, undefined]) t.is(holderOf(id), id);
    const nameless = new Kind(memory, CELL, 'value');
    nameless.borrow();
    const { message } = t.throws(() => nameless.borrowMut(), { instanceOf: BorrowMutError });
    t.is(message, 'already borrowed by 1 reader, the last a thread that gave no id');
    t.throws(() => holderOf(2 ** 32 - 1), {
      instanceOf: AllocError,
      code: 'InvalidParam',
      message: /4294967295/,
    });
    t.throws(() => holderOf(-1), { instanceOf: RangeError, message: /-1/ });
    t.throws(() => holderOf('1' as never), { instanceOf: TypeError, message: /"1"/ });
  });

  test(`${Kind.name}: the reader count does not overflow into a writer`, (t) => {
    const { memory, cell } = make();
    memory.i32[CELL / 4] = 2 ** 31 - 1;
    t.throws(() => cell.borrow(), { instanceOf: BorrowError, message: /no more can be counted/ });
    t.throws(() => cell.tryBorrow(), { instanceOf: BorrowError });
    t.is(flagOf(memory), 2 ** 31 - 1);
  });

  test(`${Kind.name}: data leads past the flag`, (t) => {
    const { memory, cell } = make();
    const writer = cell.borrowMut();
    cell.data.get()[0] = 5;
    t.is(writer.value[0], 5);
    t.is(flagOf(memory), -1);
  });

  test(`${Kind.name}: both words must fit`, (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    t.throws(() => new Kind(memory, 65532, 0), { instanceOf: AllocError, message: /65532/ });
    t.notThrows(() => new Kind(memory, 65528, 0));
  });

  test(`${Kind.name}: a second thread is refused and told the holder`, async (t) => {
    const memory = SharedMemory.create({ bytes: 65536 });
    const cell = new Kind(memory, CELL, 0, { threadId: 77 });
    const writer = cell.borrowMut();
    const [answer] = await runTeam<RefusedTask, RefusedAnswer>('refused', memory, [{ kind: Kind.name }]);
    writer.release();
    t.deepEqual(answer, {
      borrow: { name: 'BorrowError', state: -1, holder: 77 },
      borrowMut: { name: 'BorrowMutError', state: -1, holder: 77 },
    });
  });
}
