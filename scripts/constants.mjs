/**
 * Finds integer constants in compiled modules and puts them in where they are used, as literals. What reads and
 * writes the files is `constants-files.mjs`.
 *
 * A constant is a top-level `const` whose value is an integer, or an object literal of such; it may be
 * computed from others, of other modules and packages too. An object counts only when no module writes to a
 * field of it or hands it on: then it might as well be frozen. What is shadowed anywhere in a module is left
 * alone there.
 */
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

  /** Where a name of this module is declared: `{ module, name }`, or undefined. */
  originOf(name) {
    const imported = this.imports.get(name);
    if (imported === undefined) return this.constants.has(name) ? { module: this, name } : undefined;
    if (imported.name === '*') return undefined;
    return this.program.resolve(this.id, imported.from)?.originOfExport(imported.name);
  }

  /** Where what this module exports is declared. A name that is on its way already is made of itself. */
  originOfExport(name, seen = new Set()) {
    const here = `${this.id} ${name}`;
    if (seen.has(here)) return undefined;
    seen.add(here);
    const found = this.exports.get(name);
    if (typeof found === 'string') return this.originOf(found);
    const places = found === undefined ? this.stars.map((from) => ({ from, name })) : [found];
    for (const place of places) {
      const origin = this.program.resolve(this.id, place.from)?.originOfExport(place.name, seen);
      if (origin !== undefined) return origin;
    }
    return undefined;
  }

  /** Where what an expression names is declared: `name` or `namespace.name`. */
  originOfNode(node) {
    if (node.type === 'Identifier') return this.originOf(node.name);
    if (node.type !== 'MemberExpression' || node.computed || node.object.type !== 'Identifier')
      return undefined;
    const imported = this.imports.get(node.object.name);
    if (imported?.name !== '*') return undefined;
    return this.program.resolve(this.id, imported.from)?.originOfExport(node.property.name);
  }

  /** The value of a name of this module: an integer, a Map of such, or undefined. */
  valueOf(name) {
    return valueAt(this.originOf(name));
  }

  /** The value of a constant that is declared here. */
  valueOfOwn(name) {
    if (this.known.has(name)) return this.known.get(name);
    this.known.set(name, undefined); // a constant that is made of itself has none
    const value = this.evaluate(this.constants.get(name));
    this.known.set(name, value);
    return value;
  }

  evaluate(node) {
    const value = this.#valueOfNode(node);
    // −0 is no integer: it divides otherwise than 0.
    const isInteger = Number.isSafeInteger(value) && !Object.is(value, -0);
    return value instanceof Map || isInteger ? value : undefined;
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
  memberOf(node) {
    if (node.computed || node.property.type !== 'Identifier') return undefined;
    const itself = valueAt(this.originOfNode(node));
    if (itself !== undefined) return itself;
    const origin = this.originOfNode(node.object);
    const fields = valueAt(origin);
    if (!(fields instanceof Map) || this.program.isChanged(origin)) return undefined;
    return fields.get(node.property.name);
  }

  /** Finds the constants of which a use may change a field, or hands the object on. */
  forEachChanged(visit) {
    const look = (node, _state, ancestors) => {
      const origin = this.originOfNode(node);
      if (origin?.module.constants.get(origin.name).type !== 'ObjectExpression') return;
      if (mayChange(node, ancestors.at(-2), ancestors.at(-3))) visit(origin);
    };
    ancestor(this.ast, { Identifier: look, MemberExpression: look });
  }
}

/** The value of what is declared somewhere. */
function valueAt(origin) {
  return origin?.module.valueOfOwn(origin.name);
}

/** Whether an expression is written to, by whatever stands around it. */
function isTarget(node, parent) {
  switch (parent?.type) {
    case 'AssignmentExpression':
    case 'AssignmentPattern':
    case 'ForInStatement':
    case 'ForOfStatement':
      return parent.left === node;
    case 'UpdateExpression':
    case 'ArrayPattern':
    case 'ObjectPattern':
    case 'RestElement':
      return true;
    case 'UnaryExpression':
      return parent.operator === 'delete';
    default:
      return false;
  }
}

/** Functions of `Object` that only look at what they get, or keep it from being changed. */
const LOOKING = new Set(['keys', 'values', 'entries', 'freeze']);

/** Whether a use of an object may change it: all but reading fields, and looking at the whole. */
function mayChange(node, parent, grandparent) {
  if (parent?.type === 'VariableDeclarator' && parent.id.type === 'ObjectPattern') return false;
  if (parent?.type === 'MemberExpression' && parent.object === node) return isTarget(parent, grandparent);
  if (parent?.type === 'CallExpression' && parent.callee !== node) {
    const { object, property, computed } = parent.callee;
    return computed !== false || object.name !== 'Object' || !LOOKING.has(property.name);
  }
  return true;
}

/** A set of modules. */
export class Program {
  /**
   * @param read - gives a module's text by its id, or undefined
   * @param find - gives the id of what a module imports, or undefined
   * @param ids - of all modules
   */
  constructor(read, find, ids) {
    this.read = read;
    this.find = find;
    this.ids = ids;
    this.modules = new Map();
    /** Objects whose fields are no constants, as `id name`; found when the first field is asked for. */
    this.changed = null;
  }

  /** Whether a field of an object may change, in whichever module. */
  isChanged({ module, name }) {
    if (this.changed === null) {
      this.changed = new Set();
      for (const id of this.ids)
        this.module(id).forEachChanged((origin) => this.changed.add(`${origin.module.id} ${origin.name}`));
    }
    return this.changed.has(`${module.id} ${name}`);
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
    /** The first names of member expressions that were replaced whole. */
    const done = new Set();
    const put = (node, value, name) => {
      out.overwrite(node.start, node.end, `${value < 0 ? `(${value})` : value} /* ${name} */`);
    };
    ancestor(module.ast, {
      MemberExpression: (node) => {
        const first = node.object.type === 'MemberExpression' ? node.object.object : node.object;
        if (first.type !== 'Identifier' || module.shadowed.has(first.name)) return;
        const value = module.memberOf(node);
        if (typeof value !== 'number') return;
        done.add(first);
        put(node, value, module.text.slice(node.start, node.end));
      },
    });
    ancestor(module.ast, {
      Identifier: (node, _state, ancestors) => {
        if (done.has(node)) return;
        const parent = ancestors.at(-2);
        const value = module.shadowed.has(node.name) ? undefined : module.valueOf(node.name);
        if (typeof value !== 'number') {
          if (module.imports.has(node.name)) used.add(node.name);
        } else if (parent?.type === 'Property' && parent.shorthand)
          out.overwrite(parent.start, parent.end, `${node.name}: ${value}`);
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
        const textOf = (each) => module.text.slice(each.start, each.end);
        const named = left.filter(({ type }) => type === 'ImportSpecifier').map(textOf);
        const others = left.filter(({ type }) => type !== 'ImportSpecifier').map(textOf);
        const head = [...others, ...(named.length > 0 ? [`{ ${named.join(', ')} }`] : [])].join(', ');
        out.overwrite(node.start, node.end, `import ${head} from ${node.source.raw};`);
      }
    }
    return out;
  }
}
