import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'ava';
import { outPath, readFile, userFolder, writeFile } from '../../dist/files.js';

const folder = mkdtempSync(path.join(tmpdir(), 'shmalloc-files-'));
test.after.always(() => rmSync(folder, { recursive: true }));

test('relative names start where the user stands, also when npm has gone elsewhere', (t) => {
  const here = process.cwd();
  t.is(userFolder({}), here);
  t.is(userFolder({ INIT_CWD: '/tmp' }), '/tmp');
  t.is(userFolder({ INIT_CWD: '/tmp', npm_package_json: path.join(here, 'package.json') }), '/tmp');
});

test('what the user does not name is written below the current folder', (t) => {
  t.is(outPath('out', undefined), path.resolve('out'));
  t.is(outPath('out', '/elsewhere'), '/elsewhere');
});

test('a script that changed the folder itself means the one that it changed to', (t) => {
  mkdirSync(path.join(folder, 'elsewhere'), { recursive: true });
  const manifest = path.join(folder, 'elsewhere', 'package.json');
  writeFileSync(manifest, '{}');
  t.is(userFolder({ INIT_CWD: '/tmp', npm_package_json: manifest }), process.cwd());
});

test('a file that cannot be read or written is named with the reason', (t) => {
  t.throws(() => readFile('/no/such/file'), {
    name: 'UsageError',
    message: 'cannot read /no/such/file: there is no such file',
  });
  t.throws(() => readFile(folder), { name: 'UsageError', message: /: it is a folder$/ });
  const plain = path.join(folder, 'plain');
  writeFile(plain, 'text');
  t.is(readFileSync(plain, 'utf8'), 'text');
  t.throws(() => readFile(`${plain}/x`), { name: 'UsageError', message: /part of its path is no folder$/ });
  t.throws(() => writeFile(`${plain}/x/y`, ''), {
    name: 'UsageError',
    message: /cannot write .*part of its path is no folder$/,
  });
  t.throws(() => writeFile(folder, ''), { name: 'UsageError', message: /it is a folder$/ });
});

if (process.getuid?.() !== 0) {
  test('a file without permission is named with the reason', (t) => {
    const secret = path.join(folder, 'secret');
    writeFileSync(secret, '');
    chmodSync(secret, 0);
    t.throws(() => readFile(secret), { name: 'UsageError', message: /permission denied$/ });
  });
}
