/**
 * Whether the calling thread may sleep in `Atomics.wait`. A browser's main thread may not: there it throws a
 * `TypeError`, before it looks at any value. Found out once in each thread, by a wait for a value that is not
 * there, which returns at once.
 * @public
 */
export const MAY_BLOCK: boolean = /* @__PURE__ */ (() => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
})();
