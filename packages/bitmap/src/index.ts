/**
 * Pages and ids out of a hierarchical bitmap, without a lock.
 *
 * @packageDocumentation
 */

export {
  Bitmap,
  type BitmapAttachOptions,
  type BitmapOptions,
  type BitmapStats,
  type BitmapValidateOptions,
} from './bitmap.ts';
export type { Geometry, Kind } from './header.ts';
export { BitmapIds, type BitmapIdsOptions } from './ids.ts';
export { BitmapPages, type BitmapPagesOptions } from './pages.ts';
export type { RunMap } from './run-map.ts';
