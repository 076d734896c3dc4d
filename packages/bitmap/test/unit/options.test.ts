/** A misspelt option is not taken for one that was not given. */

import { BitmapIds, BitmapPages } from '@shmalloc/bitmap';
import test from 'ava';
import { refused } from '../support/tools.js';

test('an unknown option is refused, and the known ones are listed', (t) => {
  const pages = BitmapPages.create({ bytes: 65536 });
  const ids = BitmapIds.create({ ids: 64 });
  for (const [call, listed] of [
    [() => BitmapPages.create({ bytes: 65536, pagesize: 4096 } as never), 'pageSize'],
    [() => BitmapPages.attach(pages.share(), { crossing: 'js' } as never), 'crossings'],
    [() => BitmapPages.attach(pages.share(), { bytes: 65536 } as never), 'crossings'],
    [() => BitmapIds.create({ id: 7 } as never), 'first, ids, limit'],
    [() => BitmapIds.attach(ids.share(), { onerror: () => {} } as never), 'onError'],
  ] as const) {
    refused(t, 'InvalidParam', call, 'unknown option');
    refused(t, 'InvalidParam', call, listed);
  }
  t.throws(() => BitmapPages.create(null as never), { instanceOf: TypeError });
  t.throws(() => BitmapPages.create({ bytes: 65536, onError: 7 as never }), { instanceOf: TypeError });
});
