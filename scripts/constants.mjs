/**
 * Puts integer constants into the compiled modules as literals. The source has each constant and each field
 * offset once, at the place that owns it; an engine loads an imported binding at every use, and a bundler
 * makes a `var` of a `const`, which it loads as well.
 *
 * ```
 *   tsc ──▶ dist/free.js ──▶ compiled/free.js    as tsc wrote it: what tests rewrite
 *                        └─▶ dist/free.js        i32[page + Page.localFree]  becomes  i32[page + 1 with its name]
 * ```
 *
 * A constant is a top-level `const` whose value is an integer, or an object literal of such; it may be
 * computed from others, of other modules and packages too. What is shadowed anywhere in a module is left
 * alone there. Source maps lead through both steps to the TypeScript.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import remapping from '@jridgewell/remapping';
import { parse } from 'acorn';
import { ancestor, simple } from 'acorn-walk';
import MagicString from 'magic-string';

const OPERATIONS = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '**': (a, b) => a ** b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
  '>>>': (a, b) => a >>> b,
  '|': (a, b) => a | b,
  '&': (a, b) => a & b,
  '^': (a, b) => a ^ b,
};

/** All names that a pattern binds. */
function namesIn(pattern) {
  if (pattern === null) return [];
  if (pattern.type === 'Identifier') return [pattern.name];
  if (pattern.type === 'ObjectPattern')
    return pattern.properties.flatMap((each) => namesIn(each.value ?? each.argument));
  if (pattern.type === 'ArrayPattern') return pattern.elements.flatMap(namesIn);
  if (pattern.type === 'AssignmentPattern') return namesIn(pattern.left);
  return namesIn(pattern.argument);
}

/** One module: its imports, its top-level constants, its exports. */
class Module {
  constructor(program, id, text) {
    this.program = program;
    this.id = id;
    this.text = text;
    this.ast = parse(text, { ecmaVersion: 2022, sourceType: 'module' });
    /** Local name → { from, name }; name '*' for a namespace. */
    this.imports = new Map();
    /** Local name → the initializer. */
    this.constants = new Map();
    /** Exported name → local name, or { from, name }. */
    this.exports = new Map();
    this.stars = [];
    this.shadowed = new Set();
    this.known = new Map();
    this.#read();
  }

  #read() {
    for (const node of this.ast.body) {
      if (node.type === 'ImportDeclaration') {
        for (const each of node.specifiers) {
          const name = each.type === 'ImportNamespaceSpecifier' ? '*' : (each.imported?.name ?? 'default');
          this.imports.set(each.local.name, { from: node.source.value, name });
        }
      } else if (node.type === 'ExportAllDeclaration') this.stars.push(node.source.value);
      else if (node.type === 'ExportNamedDeclaration' && node.declaration === null) {
        for (const { local, exported } of node.specifiers)
          this.exports.set(
            exported.name,
            node.source === null ? local.name : { from: node.source.value, name: local.name },
          );
      }
      const declaration = node.type === 'ExportNamedDeclaration' ? node.declaration : node;
      if (declaration?.type !== 'VariableDeclaration') continue;
      for (const { id, init } of declaration.declarations) {
        if (id.type !== 'Identifier') continue;
        if (declaration.kind === 'const' && init !== null) this.constants.set(id.name, init);
        if (node !== declaration) this.exports.set(id.name, id.name);
      }
    }
    this.#findShadows();
  }

  /** Names of the module's scope that are bound again in an inner scope. */
  #findShadows() {
    const bind = (pattern) => {
      for (const name of namesIn(pattern)) this.shadowed.add(name);
    };
    const top = new Set(
      this.ast.body.map((node) => (node.type === 'ExportNamedDeclaration' ? node.declaration : node)),
    );
    simple(this.ast, {
      Function: (node) => {
        node.params.forEach(bind);
        if (node.id && !top.has(node)) bind(node.id);
      },
      Class: (node) => {
        if (node.id && !top.has(node)) bind(node.id);
      },
      CatchClause: (node) => bind(node.param),
      VariableDeclaration: (node) => {
        if (!top.has(node)) for (const { id } of node.declarations) bind(id);
      },
    });
  }

  /** The value of a name of this module: an integer, a Map of such, or undefined. */
  valueOf(name) {
    if (this.known.has(name)) return this.known.get(name);
    this.known.set(name, undefined); // a constant that is made of itself has none
    let value;
    const imported = this.imports.get(name);
    if (imported !== undefined && imported.name !== '*')
      value = this.program.resolve(this.id, imported.from)?.exported(imported.name);
    else if (this.constants.has(name)) value = this.evaluate(this.constants.get(name));
    this.known.set(name, value);
    return value;
  }

  /** The value of what this module exports. */
  exported(name) {
    const found = this.exports.get(name);
    if (typeof found === 'string') return this.valueOf(found);
    if (found !== undefined) return this.program.resolve(this.id, found.from)?.exported(found.name);
    for (const from of this.stars) {
      const value = this.program.resolve(this.id, from)?.exported(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  evaluate(node) {
    const value = this.#valueOfNode(node);
    return value instanceof Map || Number.isSafeInteger(value) ? value : undefined;
  }

  #valueOfNode(node) {
    switch (node.type) {
      case 'Literal':
        return typeof node.value === 'number' ? node.value : undefined;
      case 'Identifier':
        return this.valueOf(node.name);
      case 'UnaryExpression': {
        const value = this.evaluate(node.argument);
        if (typeof value !== 'number') return undefined;
        return node.operator === '-' ? -value : node.operator === '~' ? ~value : undefined;
      }
      case 'BinaryExpression': {
        const [left, right] = [this.evaluate(node.left), this.evaluate(node.right)];
        const operation = OPERATIONS[node.operator];
        const known = typeof left === 'number' && typeof right === 'number' && operation !== undefined;
        return known ? operation(left, right) : undefined;
      }
      case 'MemberExpression':
        return this.memberOf(node);
      case 'ObjectExpression': {
        const fields = new Map();
        for (const each of node.properties) {
          const plain = each.type === 'Property' && each.kind === 'init' && !each.computed && !each.method;
          const value = plain ? this.evaluate(each.value) : undefined;
          if (typeof value !== 'number') return undefined;
          fields.set(each.key.name ?? each.key.value, value);
        }
        return fields;
      }
      default:
        return undefined;
    }
  }

  /** The value of `object.name`, where the object is a constant one or a namespace. */
  memberOf({ object, property, computed }) {
    if (computed || object.type !== 'Identifier' || property.type !== 'Identifier') return undefined;
    const imported = this.imports.get(object.name);
    if (imported?.name === '*') return this.program.resolve(this.id, imported.from)?.exported(property.name);
    const value = this.valueOf(object.name);
    return value instanceof Map ? value.get(property.name) : undefined;
  }
}

/** A set of modules. */
export class Program {
  /**
   * @param read - gives a module's text by its id, or undefined
   * @param find - gives the id of what a module imports, or undefined
   */
  constructor(read, find) {
    this.read = read;
    this.find = find;
    this.modules = new Map();
  }

  module(id) {
    if (!this.modules.has(id)) {
      const text = this.read(id);
      this.modules.set(id, text === undefined ? undefined : new Module(this, id, text));
    }
    return this.modules.get(id);
  }

  resolve(importer, specifier) {
    const id = this.find(importer, specifier);
    return id === undefined ? undefined : this.module(id);
  }

  /**
   * A module with its constants put in.
   * @returns a MagicString
   */
  transform(id) {
    const module = this.module(id);
    const out = new MagicString(module.text);
    /** Import bindings that are still used. */
    const used = new Set();
    /** Identifiers of member expressions that were replaced whole. */
    const done = new Set();
    const put = (node, value, name) => {
      const literal = value < 0 || Object.is(value, -0) ? `(${value})` : String(value);
      out.overwrite(node.start, node.end, `${literal} /* ${name} */`);
    };
    ancestor(module.ast, {
      MemberExpression: (node) => {
        const { object } = node;
        if (object.type !== 'Identifier' || module.shadowed.has(object.name)) return;
        const value = module.memberOf(node);
        if (typeof value !== 'number') return;
        done.add(object);
        put(node, value, module.text.slice(node.start, node.end));
      },
    });
    ancestor(module.ast, {
      Identifier: (node, _state, ancestors) => {
        if (done.has(node)) return;
        const parent = ancestors.at(-2);
        const value = module.shadowed.has(node.name) ? undefined : module.valueOf(node.name);
        const exported = parent?.type === 'ExportSpecifier';
        if (typeof value !== 'number' || exported) {
          if (module.imports.has(node.name)) used.add(node.name);
        } else if (parent?.type === 'Property' && parent.shorthand)
          out.overwrite(parent.start, parent.end, `${node.name}: ${value < 0 ? `(${value})` : value}`);
        else put(node, value, node.name);
      },
    });
    for (const node of module.ast.body) {
      if (node.type === 'ExportNamedDeclaration' && node.source === null)
        for (const { local } of node.specifiers) used.add(local.name);
      // Only imports that the pass has made superfluous: a module that is imported for its effect stays.
      if (node.type !== 'ImportDeclaration' || node.specifiers.length === 0) continue;
      const left = node.specifiers.filter(({ local }) => used.has(local.name));
      if (left.length === node.specifiers.length) continue;
      if (left.length === 0) out.remove(node.start, node.end + (module.text[node.end] === '\n' ? 1 : 0));
      else {
        const names = left.map((each) => module.text.slice(each.start, each.end)).join(', ');
        const head = left[0].type === 'ImportSpecifier' ? `{ ${names} }` : names;
        out.overwrite(node.start, node.end, `import ${head} from ${node.source.raw};`);
      }
    }
    return out;
  }
}

const digest = (text) => createHash('sha256').update(text).digest('hex');

/** The compiled modules below a folder. */
function modulesIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((file) => file.replaceAll(path.sep, '/'))
    .filter((file) => file.endsWith('.js'));
}

/**
 * Runs the pass over packages that tsc has just compiled; does nothing when nothing has changed since the
 * last time.
 * @param root - of the workspace
 * @param folders - of the packages
 */
export function inlineConstants(root, folders) {
  const stampFile = path.join(root, 'node_modules', '.shmalloc-constants.json');
  const self = digest(readFileSync(new URL(import.meta.url), 'utf8'));
  const known = existsSync(stampFile) ? JSON.parse(readFileSync(stampFile, 'utf8')) : {};
  const before = known.self === self ? known.files : {};
  const dist = (id) => path.join(root, id.replace('!', '/dist/'));
  const compiled = (id) => path.join(root, id.replace('!', '/compiled/'));
  const ids = folders.flatMap((folder) =>
    modulesIn(path.join(root, folder, 'dist')).map((file) => `${folder}!${file}`),
  );
  let changed = ids.length !== Object.keys(before).length;
  for (const id of ids) {
    const text = readFileSync(dist(id), 'utf8');
    if (before[id] === digest(text)) continue;
    changed = true;
    // An older version of this script may have written it, and then what tsc wrote is there already.
    if (known.files?.[id] === digest(text) && existsSync(compiled(id))) continue;
    mkdirSync(path.dirname(compiled(id)), { recursive: true });
    writeFileSync(compiled(id), text);
    writeFileSync(`${compiled(id)}.map`, readFileSync(`${dist(id)}.map`));
  }
  if (!changed) return;
  for (const folder of folders)
    for (const file of modulesIn(path.join(root, folder, 'compiled')))
      if (!existsSync(dist(`${folder}!${file}`)))
        for (const suffix of ['', '.map']) rmSync(compiled(`${folder}!${file}`) + suffix, { force: true });

  const packages = new Map(
    folders.map((folder) => [
      JSON.parse(readFileSync(path.join(root, folder, 'package.json'), 'utf8')),
      folder,
    ]),
  );
  const known_ = new Set(ids);
  const find = (importer, specifier) => {
    if (specifier.startsWith('.')) {
      const [folder, file] = importer.split('!');
      return `${folder}!${path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier))}`;
    }
    for (const [{ name, exports }, folder] of packages) {
      if (specifier !== name && !specifier.startsWith(`${name}/`)) continue;
      const file = exports[`.${specifier.slice(name.length)}`]?.default;
      return file === undefined ? undefined : `${folder}!${file.replace('./dist/', '')}`;
    }
    return undefined;
  };
  const program = new Program(
    (id) => (known_.has(id) ? readFileSync(compiled(id), 'utf8') : undefined),
    find,
  );
  const files = {};
  for (const id of ids) {
    const out = program.transform(id);
    const text = out.toString();
    files[id] = digest(text);
    writeFileSync(dist(id), text);
    const step = out.generateMap({ source: path.basename(id), hires: true });
    const own = JSON.parse(readFileSync(`${compiled(id)}.map`, 'utf8'));
    const map = remapping([step, own], () => null);
    writeFileSync(`${dist(id)}.map`, JSON.stringify({ ...map, file: path.posix.basename(id.split('!')[1]) }));
  }
  writeFileSync(stampFile, JSON.stringify({ self, files }));
}
